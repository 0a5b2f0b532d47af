"""The layers of a host's denoiser that get a LoRA, found by structure: linear layers of its repeated blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeGuard

from torch import nn

from ...trainer.options.choices import Targets

BESIDE = re.compile(r"norm|mod\b|_mod|modulation|ada_?ln|emb|time|final|refiner|scale_shift|llm_adapter", re.IGNORECASE)
"""Parts of names of layers that are neither attention nor feed-forward, or of a part that reads texts."""
ATTENTION = re.compile(r"attn|attention|(?:^|\.)(?:to_)?[qkv](?:_proj)?$|qkv|linear1$", re.IGNORECASE)
"""Parts of names of attention layers; `linear1` is Flux's, with q, k, v and the feed-forward in one."""

PATCH = ("patch_size", "patch_spatial", "patch")
"""The names by which the host's denoisers keep the side of a token."""


class Linear(Protocol):
    """A host's linear layer, of any kind: its quantised ones are no `nn.Linear`."""

    in_features: int
    out_features: int
    weight: Any
    register_forward_hook: Any


def is_linear(layer: Any) -> TypeGuard[Linear]:
    """Whether a module is a linear layer."""
    sizes = getattr(layer, "in_features", None), getattr(layer, "out_features", None)
    return all(isinstance(size, int) for size in sizes) and hasattr(layer, "weight")


def target_layers(denoiser: nn.Module, targets: Targets) -> dict[str, Linear]:
    """{the host's name: layer} of those that get a LoRA.

    targets: "attention"; "transformer" adds feed-forward layers; "transformer_and_resnet" is every linear layer of the
    repeated blocks. Raises ValueError where there is none.
    """
    linear = {name: layer for name, layer in denoiser.named_modules() if is_linear(layer)}
    found = {name: one for name, one in linear.items() if _in_a_block(denoiser, name) and _is_wanted(name, targets)}
    if not found:
        kind = type(denoiser).__name__
        raise ValueError(f"{kind} has no linear layers in repeated blocks that targets {targets!r} could train.")
    return found


def block_sizes(denoiser: nn.Module) -> dict[str, tuple[int, int]]:
    """{the host's name: inputs and outputs} of every linear layer of the repeated blocks: the same for every model that
    takes the same LoRAs.
    """
    linear = {name: layer for name, layer in denoiser.named_modules() if is_linear(layer)}
    return sizes_of({name: layer for name, layer in linear.items() if _in_a_block(denoiser, name)})


def sizes_of(layers: Mapping[str, Linear]) -> dict[str, tuple[int, int]]:
    """{name: inputs and outputs} of layers."""
    return {name: (layer.in_features, layer.out_features) for name, layer in layers.items()}


def repeated_blocks(denoiser: nn.Module) -> list[nn.Module]:
    """The innermost elements of module lists that hold attention: what activations are recomputed by."""
    blocks = dict(_elements(denoiser))
    holding = {
        name: block
        for name, block in blocks.items()
        if not is_linear(block) and any(ATTENTION.search(inner) for inner, _ in _linears(block, name))
    }
    return [b for name, b in holding.items() if not any(other.startswith(f"{name}.") for other in holding)]


def patch_of(denoiser: nn.Module) -> int:
    """The side of a token in positions of the latents; 2 where the denoiser does not say."""
    said = next((getattr(denoiser, name) for name in PATCH if getattr(denoiser, name, None)), 2)
    return int(said if isinstance(said, int) else said[-1])


def _in_a_block(denoiser: nn.Module, name: str) -> bool:
    """Whether a module is within an element of a module list."""
    parts = name.split(".")
    above = (denoiser.get_submodule(".".join(parts[:end])) for end in range(1, len(parts)))
    return any(isinstance(module, nn.ModuleList) for module in above)


def _is_wanted(name: str, targets: Targets) -> bool:
    """Whether a linear layer of a block is among the targets."""
    if targets == "transformer_and_resnet":
        return True
    return not BESIDE.search(name) and (targets == "transformer" or bool(ATTENTION.search(name)))


def _elements(denoiser: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """(name, element) of every module list."""
    for name, module in denoiser.named_modules():
        if isinstance(module, nn.ModuleList):
            yield from ((f"{name}.{key}", element) for key, element in module.named_children())


def _linears(block: nn.Module, name: str) -> Iterator[tuple[str, Linear]]:
    """(name, layer) of the linear layers of a block of this name."""
    yield from ((f"{name}.{inner}", layer) for inner, layer in block.named_modules() if is_linear(layer))

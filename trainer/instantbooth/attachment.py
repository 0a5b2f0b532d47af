"""Adapters in the blocks of a UNet of diffusers: forward hooks, which are removed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .adapter import GatedAdapter
from .shape import transformer_blocks


@dataclass
class Shown:
    """What adapters attend to in a forward of B rows. patches: [b, M, C] of its first b rows; the rest, which are
    conditioned on the empty prompt in classifier-free guidance, are the base's. strength: β, 0 for none.
    """

    patches: Tensor | None = None
    strength: float = 1.0


@contextmanager
def attached(denoiser: nn.Module, adapters: Mapping[str, GatedAdapter], shown: Shown) -> Iterator[None]:
    """A context in which the denoiser's blocks have adapters. adapters: {name of a block: its adapter}. shown: is read
    in every forward.

    Raises ValueError where the denoiser has other blocks.
    """
    blocks = transformer_blocks(denoiser)
    if blocks.keys() != adapters.keys():
        raise ValueError(
            f"The predictor is made for {len(adapters)} blocks of another model than this, which has {len(blocks)}."
        )
    with ExitStack() as hooks:
        for name, block in blocks.items():
            for handle in _hooked(block, adapters[name], shown):
                hooks.callback(handle.remove)
        yield


def _hooked(block: Any, adapter: GatedAdapter, shown: Shown) -> Iterator[Any]:
    """The hooks of one block: what enters it is remembered, and what its self-attention adds to that is extended, so
    that the sum is y + β·tanh(γ)·S([y, f]).
    """
    entered: list[Tensor] = []

    def remember(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        entered[:] = [args[0] if args else kwargs["hidden_states"]]

    def extend(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        x = entered.pop()
        return output if shown.patches is None or not shown.strength else output + added(adapter, output + x, shown)

    yield block.register_forward_pre_hook(remember, with_kwargs=True)
    yield block.attn1.register_forward_hook(extend)


def added(adapter: GatedAdapter, y: Tensor, shown: Shown) -> Tensor:
    """β·tanh(γ)·S([y, f]) for hidden states y [B, N, width], in their shape; 0 in rows without patches."""
    assert shown.patches is not None
    count = len(shown.patches)
    change = shown.strength * adapter(y[:count], shown.patches).to(y.dtype)
    return change if count == len(y) else torch.cat([change, torch.zeros_like(y[count:])])

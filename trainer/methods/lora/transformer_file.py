"""LoRAs of a transformer in any program's file, by its makers' names of the layers, and in diffusers'.

diffusers' layers of q, k and v, each of rank r, are one fused layer of rank 3r: their A stacked, their B on the
diagonal of a block matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...files.adapter_kinds import PLAIN, adapter_kind
from ...files.safetensors import CheckpointError, listed
from .keys import any_style
from .transformer_names import TRANSFORMER, diffusers_names
from .weights import ALPHA, DOWN, UP, LoraLayer

PREFIXES = (
    "base_model.model.",
    "model.diffusion_model.",
    "diffusion_model.",
    TRANSFORMER,
    "lora_unet_",
    "lora_transformer_",
    "lycoris_",
)
"""What names of a denoiser's layers start with in files of ComfyUI, ai-toolkit, OneTrainer, musubi and diffusers."""
Sizes = Mapping[str, tuple[int, int]]
"""{name of a layer: its inputs and outputs}."""


@dataclass
class _Found:
    """What a file holds of one layer. parts: {number of the part of a fused layer, 0 for a whole one: its LoRA}."""

    whole: LoraLayer | None = None
    parts: dict[int, LoraLayer] = field(default_factory=dict)


def read_transformer_lora(
    tensors: Mapping[str, Tensor], layers: Sizes, architecture: str, file: str
) -> dict[str, LoraLayer]:
    """{name of a layer: its LoRA} of a file's tensors, in float32. layers: those that may have one.

    architecture: ComfyUI's name. file: its name, for messages. Raises CheckpointError, naming keys, for an adapter of
    another kind, layers that are not among these, and matrices of another shape.
    """
    if (kind := adapter_kind(dict.fromkeys(tensors))) not in (PLAIN, None):
        raise CheckpointError(f"{file!r} is {kind}. Only a plain LoRA can be gone on from here.")
    known, found, odd = _known_names(layers, architecture), dict[str, _Found](), list[str]()
    for name, keys in _by_layer(tensors).items():
        if (place := known.get(_flat(name))) is None or not {DOWN, UP} <= keys.keys():
            odd += keys.values()
            continue
        layer, part = place
        inputs, outputs = layers[layer]
        lora = _lora(tensors, keys)
        rows = outputs if part is None else outputs // len(diffusers_names(architecture, layer))
        if (lora.down.shape[1:], lora.up.shape) != ((inputs,), (rows, lora.rank)):
            raise CheckpointError(f"{file!r} is of another model: {name} is of another size.")
        held = found.setdefault(layer, _Found())
        if part is None:
            held.whole = lora
        else:
            held.parts[part] = lora
    if odd or not found:
        reason = "some of its layers are not trained by these targets, or not of this model"
        raise CheckpointError(f"{file!r} is no LoRA that these targets of this model continue; {reason}: {listed(odd)}")
    return {
        layer: one.whole if one.whole is not None else fused(one.parts, layers[layer][1], _parts(architecture, layer))
        for layer, one in found.items()
    }


def own_lora(tensors: Mapping[str, Tensor], file: str) -> dict[str, LoraLayer]:
    """{name of a layer: its LoRA} of a file with one style of names, whatever the layers are. Raises CheckpointError
    for keys that are no LoRA's.
    """
    layers = _by_layer(tensors)
    if odd := [key for keys in layers.values() if not {DOWN, UP} <= keys.keys() for key in keys.values()]:
        raise CheckpointError(f"{file!r} holds {listed(odd)}, which is no part of a LoRA.")
    return {name: _lora(tensors, keys) for name, keys in layers.items()}


def fused(parts: Mapping[int, LoraLayer], outputs: int, count: int) -> LoraLayer:
    """The LoRA of a fused layer with so many outputs, of those of its `count` equal parts; a part without one stays as
    it is. Of the parts' rank where they share A, as in a file that was split from a fused layer; else of all ranks
    together. Its alpha/rank is the parts' where they agree, else 1.
    """
    rows, scales = outputs // count, {part.alpha / part.rank for part in parts.values()}
    scale = scales.pop() if len(scales) == 1 else None
    alike = {number: part if scale else part.folded() for number, part in sorted(parts.items())}
    downs = [part.down for part in alike.values()]
    if len(alike) == count and all(torch.equal(downs[0], other) for other in downs[1:]):
        return LoraLayer(downs[0], torch.cat([part.up for part in alike.values()]), (scale or 1.0) * len(downs[0]))
    up = torch.zeros(outputs, sum(map(len, downs)))
    column = 0
    for number, part in alike.items():
        up[number * rows : (number + 1) * rows, column : column + part.rank] = part.up
        column += part.rank
    return LoraLayer(torch.cat(downs), up, (scale or 1.0) * column)


def diffusers_lora(lora: Mapping[str, LoraLayer], architecture: str) -> dict[str, LoraLayer]:
    """{diffusers' name of a layer: its LoRA}, all of one rank and of an alpha that equals it.

    Raises CheckpointError, naming layers, where diffusers has none for them.
    """
    rank, found, odd = max((one.rank for one in lora.values()), default=0), {}, []
    for name, one in lora.items():
        names, whole = diffusers_names(architecture, name), one.folded().padded(rank)
        equal = len(names) == 1 or one.up.shape[0] == 3 * one.down.shape[1]
        if not names or not equal:
            odd.append(name)
            continue
        for own, up in zip(names, whole.up.chunk(len(names)), strict=True):
            found[own] = LoraLayer(whole.down, up, whole.alpha)
    if odd:
        raise CheckpointError(f"diffusers' names are not known for {listed(odd)} of {architecture!r}.")
    return found


def _known_names(layers: Sizes, architecture: str) -> dict[str, tuple[str, int | None]]:
    """{a name of a layer with every dot as "_": (the layer, the number of the part that it names, None for all)}."""
    known: dict[str, tuple[str, int | None]] = {}
    for layer in layers:
        names = diffusers_names(architecture, layer)
        known |= {
            _flat(name.removeprefix(TRANSFORMER)): (layer, None if len(names) == 1 else number)
            for number, name in enumerate(names)
        }
        known[_flat(layer)] = (layer, None)
    return known


def _parts(architecture: str, layer: str) -> int:
    """The number of diffusers' layers that a layer is."""
    return len(diffusers_names(architecture, layer))


def _by_layer(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, str]]:
    """{name of a layer in the file, without its component's: {"down", "up", "alpha": key}}; a key that is no part of a
    LoRA counts as a layer of its own.
    """
    found: dict[str, dict[str, str]] = {}
    for key in tensors:
        name, part = any_style(key)
        for prefix in _prefixes(name):
            name = name.removeprefix(prefix)
        found.setdefault(name, {})[part] = key
    return found


def _prefixes(name: str) -> Iterator[str]:
    """The prefixes that a name starts with, one behind the other."""
    left = name
    while prefix := next((one for one in PREFIXES if left.startswith(one)), ""):
        yield prefix
        left = left.removeprefix(prefix)


def _lora(tensors: Mapping[str, Tensor], keys: Mapping[str, str]) -> LoraLayer:
    """The LoRA under these keys, in float32; its alpha is its rank where there is none."""
    down, up = tensors[keys[DOWN]].float(), tensors[keys[UP]].float()
    alpha = tensors[keys[ALPHA]] if ALPHA in keys else torch.tensor(float(len(down)))
    return LoraLayer(down, up, float(alpha))


def _flat(name: str) -> str:
    """A name with its dots as "_", as programs write it whose files have no dots in names."""
    return name.replace(".", "_")

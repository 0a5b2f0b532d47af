"""Reading of LoRA files written by this package, kohya's scripts, diffusers, peft, OneTrainer or others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ...files.quantized import read_weights
from ...files.safetensors import CheckpointError, listed
from ...files.weight_names import weight_shapes
from ...model.layers import Layers, Place
from ..adapter_file import ReadAdapter
from .folder import AdapterFile, adapter_files, no_lora
from .keys import LoraKeys, sort_keys
from .peft_settings import CONFIG, PeftSettings, settings_in_header
from .weights import ALPHA, DOWN, UP, LoraLayer

PEFT_START = "base_model.model."
"""How peft's own keys start."""


ReadLora = ReadAdapter[LoraLayer]
"""A LoRA as it was read, `LoraWeights`."""


def read_lora(path: Path, layers: Layers) -> ReadLora:
    """The LoRA in a .safetensors file or in a folder of peft's or diffusers', by the layers of a base.

    A layer's alpha is the file's, else that of peft's settings beside it or in its header, else the rank. Raises
    CheckpointError, naming the keys, for layers that the base does not have, matrices of a wrong shape, and adapters
    other than plain LoRAs.
    """
    files = adapter_files(path)
    if not files:
        raise no_lora(path)
    lora: ReadLora = ReadAdapter(files[0].file)
    for own in files:
        keys = sorted_keys(own, layers)
        keys.require_good(own.file.name)
        if not keys.parts:
            raise no_lora(own.file)
        _read_into(lora, own, keys, layers)
    return lora


def sorted_keys(own: AdapterFile, layers: Layers) -> LoraKeys:
    """The keys of one file of a LoRA, assigned to the layers of a base. Raises CheckpointError for another adapter."""

    def find(name: str) -> tuple[Place, ...]:
        meant = layers.meant_by(name)
        component = next((c for c, folder in layers.family.diffusers.items() if folder == own.folder), None)
        return meant if component is None else tuple(place for place in meant if place[0] == component)

    return sort_keys(weight_shapes(own.file), find, layers.places)


def _read_into(lora: ReadLora, own: AdapterFile, keys: LoraKeys, layers: Layers) -> None:
    """Add one file's layers and warnings to `lora`. Raises CheckpointError for a layer that is there already."""
    tensors, header = read_weights(own.file), settings_in_header(own.file)
    assumed = False
    for place, parts in keys.parts.items():
        component, name = place
        if name in lora.setdefault(component, {}):
            raise CheckpointError(f"{own.file.name!r} holds {name} of {component}, which another file holds too.")
        settings = own.settings or header.get(layers.family.diffusers[component])
        down, up = matrices(tensors, parts, layers.places[place])
        if ALPHA in parts:
            alpha = _alpha(tensors, parts[ALPHA], own.file)
        else:
            alpha = _said_alpha(settings, layers, place, keys.names[place], down.shape[0])
            assumed |= settings is None and parts[DOWN].startswith(PEFT_START)
        lora[component][name] = LoraLayer(down, up, alpha)
    if assumed:
        said = f"{own.file.name}: there is no {CONFIG} beside it, so alpha is taken to be the rank (a scale of 1)"
        lora.warnings += (said,)
    if keys.left_out:
        lora.warnings += (f"{own.file.name}: left out, because it is no part of a layer: {listed(keys.left_out)}",)


def _alpha(tensors: Mapping[str, Tensor], key: str, file: Path) -> float:
    """The alpha under a key. Raises CheckpointError where it is not one number."""
    if tensors[key].numel() != 1:
        raise CheckpointError(
            f"{file.name!r} does not fit the base: {key} is {list(tensors[key].shape)}, not a number."
        )
    return float(tensors[key])


def _said_alpha(settings: PeftSettings | None, layers: Layers, place: Place, in_file: str, rank: int) -> float:
    """The alpha of a layer in peft's settings, which may know it by any of its names; the rank where there is none."""
    component, name = place
    names = (name, layers.family.shared_name(component, name), in_file.removeprefix(PEFT_START))
    alpha = None if settings is None else settings.alpha(names, rank)
    return float(rank) if alpha is None else alpha


def matrices(tensors: Mapping[str, Tensor], parts: Mapping[str, str], weight: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """One layer's two matrices, in the layout of its weight, a tensor of shape `weight`; 8-bit floats as fp16."""
    down, up = (_wide(tensors[parts[half]]) for half in (DOWN, UP))
    ones = (1,) * (len(weight) - 2)
    return down.reshape(down.shape[0], *weight[1:]), up.reshape(weight[0], down.shape[0], *ones)


def _wide(tensor: Tensor) -> Tensor:
    """The tensor in a dtype that torch can compute with: 8-bit floats become fp16, which holds all their values."""
    return tensor.half() if tensor.element_size() == 1 else tensor

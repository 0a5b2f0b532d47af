"""Reading of LoRA files written by this package, kohya's scripts or diffusers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ...files.safetensors import CheckpointError, read_metadata, read_shapes, read_tensors
from ...model.layers import Layers, Place
from .keys import sort_keys
from .weights import ALPHA, DOWN, UP, LoraLayer, LoraWeights

ADAPTER_METADATA = "lora_adapter_metadata"
"""The metadata field in which diffusers 0.34 and later write peft's settings as JSON: "unet.lora_alpha" and
the like.
"""


def read_lora(file: Path, layers: Layers) -> LoraWeights:
    """The LoRA in a .safetensors file, by the layers of a base.

    Where the file has no alpha, it is the rank. Raises CheckpointError, naming the keys, for layers that the base does
    not have, matrices of a wrong shape, and adapters other than plain LoRAs.
    """
    keys = sort_keys(read_shapes(file), layers.known_names, layers.places)
    keys.require_good(file.name)
    if not keys.parts:
        raise CheckpointError(f"{file.name!r} holds no LoRA.")
    tensors, said = read_tensors(file), _adapter_settings(file)
    lora: dict[str, dict[str, LoraLayer]] = {}
    for place, parts in keys.parts.items():
        component, name = place
        alpha = _alpha(tensors, parts[ALPHA], file) if ALPHA in parts else _said_alpha(said, layers, place)
        lora.setdefault(component, {})[name] = _layer(tensors, parts, layers.places[place], alpha)
    return lora


def _alpha(tensors: Mapping[str, Tensor], key: str, file: Path) -> float:
    """The alpha under a key. Raises CheckpointError where it is not one number."""
    if tensors[key].numel() != 1:
        raise CheckpointError(
            f"{file.name!r} does not fit the base: {key} is {list(tensors[key].shape)}, not a number."
        )
    return float(tensors[key])


def _layer(
    tensors: Mapping[str, Tensor], parts: Mapping[str, str], weight: tuple[int, ...], alpha: float | None
) -> LoraLayer:
    """One layer's LoRA, in the layout of its weight, a tensor of shape `weight`. alpha: None means the rank."""
    down, up = tensors[parts[DOWN]], tensors[parts[UP]]
    rank = down.shape[0]
    ones = (1,) * (len(weight) - 2)
    whole = down.reshape(rank, *weight[1:]), up.reshape(weight[0], rank, *ones)
    return LoraLayer(*whole, float(rank) if alpha is None else alpha)


def _adapter_settings(file: Path) -> dict[str, object]:
    """peft's settings in the file's metadata; empty where there are none. Raises CheckpointError where they are no
    JSON.
    """
    text = read_metadata(file).get(ADAPTER_METADATA, "{}")
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"The header of {file.name!r} is torn: {ADAPTER_METADATA} is no JSON.") from error
    if not isinstance(settings, dict):
        raise CheckpointError(f"The header of {file.name!r} is torn: {ADAPTER_METADATA} is {text[:60]!r}.")
    return settings


def _said_alpha(settings: Mapping[str, object], layers: Layers, place: Place) -> float | None:
    """The alpha of a layer in peft's settings: that of the first pattern which the layer's name ends with, else the
    component's; None where the settings have neither.
    """
    name = layers.diffusers_name(place)
    component, _, inside = name.partition(".")
    patterns = settings.get(f"{component}.alpha_pattern")
    if isinstance(patterns, dict):
        for pattern, alpha in patterns.items():
            if inside.endswith(str(pattern).removeprefix("^")):
                return float(alpha)
    alpha = settings.get(f"{component}.lora_alpha")
    return float(alpha) if isinstance(alpha, int | float) else None

"""Files of DoRAs in LyCORIS's layout, which kohya's scripts, ComfyUI and the WebUIs read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ...files.safetensors import Shapes, read_shapes, read_tensors
from ...model.layers import Layers, Place
from ..adapter_file import ReadAdapter, lycoris_fields
from ..lora.file import matrices
from ..lora.keys import Find, LoraKeys, sort_keys
from ..lora.layouts import network_metadata
from ..lora.weights import ALPHA, LoraLayer
from .layer import SCALE, DoraLayer

ENDING = f".{SCALE}"


def dora_keys(shapes: Shapes, find: Find, places: Mapping[Place, tuple[int, ...]]) -> LoraKeys:
    """The keys of a DoRA file, assigned to the base's layers; its magnitudes are the part SCALE (see `sort_keys`)."""
    keys = sort_keys({key: shape for key, shape in shapes.items() if not key.endswith(ENDING)}, find, places)
    rest = {key for key in shapes if key.endswith(ENDING)}
    for place, name in keys.names.items():
        key = f"{name}{ENDING}"
        if key not in rest:
            keys.missing.append(f"{key} beside the halves")
            continue
        rest.remove(key)
        keys.parts[place] = {**keys.parts[place], SCALE: key}
        if shapes[key] not in _allowed(places[place]):
            keys.misshapen.append(f"{key} {list(shapes[key])}, of a weight {list(places[place])}")
    keys.unmatched += sorted(rest)
    return keys


def read_dora(path: Path, layers: Layers) -> ReadAdapter[DoraLayer]:
    """The DoRA in a file. layers: the base's. Raises CheckpointError, naming the keys, where the file does not fit
    them.
    """
    keys, tensors = dora_keys(read_shapes(path), layers.meant_by, layers.places), read_tensors(path)
    keys.require_good(path.name)
    dora: ReadAdapter[DoraLayer] = ReadAdapter(path)
    for (component, name), parts in keys.parts.items():
        weight = layers.places[component, name]
        down, up = matrices(tensors, parts, weight)
        alpha = float(tensors[parts[ALPHA]]) if ALPHA in parts else float(down.shape[0])
        magnitude, ones = tensors[parts[SCALE]].float(), (1,) * (len(weight) - 2)
        of_outputs = magnitude.shape[0] != 1
        shape = (-1, 1, *ones) if of_outputs else (1, -1, *ones)
        dora.setdefault(component, {})[name] = DoraLayer(LoraLayer(down, up, alpha), magnitude.reshape(shape))
    return dora


def dora_fields(dora: Mapping[str, Mapping[str, DoraLayer]]) -> dict[str, str]:
    """kohya's metadata on a DoRA's module, rank and alpha, with LyCORIS's arguments."""
    fields = network_metadata({name: {key: one.lora for key, one in own.items()} for name, own in dora.items()})
    own = json.loads(fields.pop("ss_network_args", "{}"))
    rows = any(not layer.of_inputs for layers in dora.values() for layer in layers.values())
    return {**fields, **lycoris_fields("lora", {**own, "dora_wd": "True", "wd_on_output": str(rows)})}


def _allowed(weight: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The shapes of the magnitudes of a weight's columns and rows; a 1x1 convolution may be saved as a linear layer."""
    ones = (1,) * (len(weight) - 2)
    return (1, weight[1], *ones), (weight[0], 1, *ones), (1, weight[1]), (weight[0], 1)

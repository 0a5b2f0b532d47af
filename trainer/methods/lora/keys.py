"""The keys of a LoRA file, in the style of any program, assigned to the layers of a base."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...files.safetensors import CheckpointError, Shapes
from .weights import ALPHA, DOWN, PEFT, UP

if TYPE_CHECKING:
    # A host that trains in another process may lack the libraries for training.
    from ...model.layers import Place

Split = Callable[[str], tuple[str, str]]
"""A function from a key to (name of the layer, part of the LoRA)."""
KOHYA = {".lora_down.weight": DOWN, ".lora_up.weight": UP, ".alpha": ALPHA}
"""{end of a kohya key: part of the LoRA}."""
ENDINGS = {**KOHYA, **PEFT}
OTHER_KINDS = {
    "LoHa": r"\.hada_",
    "LoKr": r"\.lokr_",
    "DoRA": r"\.dora_scale$|\.lora_magnitude_vector",
    "LoCon adapter with a Tucker core": r"\.lora_mid\.",
    "OFT": r"\.oft_",
    "GLoRA": r"\.[ab][12]\.weight$",
    "whole difference": r"\.diff(?:_b)?$",
}
"""{kind of adapter that is no plain LoRA: a pattern that its keys match}."""
OLDER = (
    (re.compile(r"\.processor\."), "."),
    (re.compile(r"\.lora_([AB])\.default\.weight$"), r".lora_\1.weight"),
    (re.compile(r"(?:\.lora_linear_layer|\.lora|_lora)\.down\.weight$"), ".lora_A.weight"),
    (re.compile(r"(?:\.lora_linear_layer|\.lora|_lora)\.up\.weight$"), ".lora_B.weight"),
    (re.compile(r"(self_attn\.)to_([qkv])\."), r"\1\2_proj."),
    (re.compile(r"(self_attn\.)to_out\."), r"\1out_proj."),
    (re.compile(r"(attn\d+\.to_out)\.lora"), r"\1.0.lora"),
    (re.compile(r"^base_model\.model\."), ""),
)
"""Replacements that turn the key styles of earlier diffusers and of peft into diffusers' style of today."""


@dataclass
class LoraKeys:
    """The keys of a LoRA file. parts: {place: {"down", "up", "alpha": key}}, where a place is (component, layer). The
    lists hold the faulty keys, by fault.
    """

    parts: dict[Place, dict[str, str]] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)

    def require_good(self, file: str) -> None:
        """Raises CheckpointError, listing the faulty keys, unless every key belongs to a layer and has its shape."""
        faults = {"of no layer of the base": self.unmatched, "missing": self.missing, "misshapen": self.misshapen}
        if found := [f"{what}: {', '.join(sorted(keys))}" for what, keys in faults.items() if keys]:
            raise CheckpointError(f"{file!r} does not fit the base. Keys {'; '.join(found)}")


def any_style(key: str) -> tuple[str, str]:
    """(name of the layer, part) of a key in any style; the part is empty for a key that is no part of a LoRA."""
    for pattern, today in OLDER:
        key = pattern.sub(today, key)
    return _split(key, ENDINGS)


def is_adapter(keys: Iterable[str]) -> bool:
    """Whether these are the keys of a LoRA or a related adapter, rather than of a whole model."""
    return any("lora" in key for key in keys)


def kohya_style(key: str) -> tuple[str, str]:
    """(name of the layer, part) of a key in kohya's style only; the part is empty for any other key."""
    return _split(key, KOHYA)


def diffusers_style(key: str) -> tuple[str, str]:
    """(name of the layer, part) of a key in diffusers' style of today only; the part is empty for any other key."""
    return _split(key, PEFT)


def sort_keys(
    shapes: Shapes,
    names: Mapping[str, Place],
    places: Mapping[Place, tuple[int, ...]],
    split: Split = any_style,
) -> LoraKeys:
    """The keys of a LoRA file with these tensors, assigned to the base's layers and checked against their shapes.

    names: {name of a layer in the file: place}. places: {place: shape of its weight}. split: finds the layer's name in
    a key. Raises CheckpointError, naming the kind, for an adapter that is no plain LoRA.
    """
    _refuse_other_kinds(shapes)
    found = LoraKeys()
    for key in shapes:
        name, part = split(key)
        if part and name in names:
            found.parts.setdefault(names[name], {})[part] = key
        else:
            found.unmatched.append(key)
    for place, parts in found.parts.items():
        _check_parts(found, shapes, parts, places[place])
    return found


def _check_parts(found: LoraKeys, shapes: Shapes, parts: Mapping[str, str], weight: tuple[int, ...]) -> None:
    """Record in `found` which of one layer's two matrices is missing or misshapen. weight: shape of the
    layer's weight.
    """
    lacking = [half for half in (DOWN, UP) if half not in parts]
    if lacking:
        found.missing += [f"the {half} half beside {next(iter(parts.values()))}" for half in lacking]
        return
    down, up = shapes[parts[DOWN]], shapes[parts[UP]]
    rank = down[0] if down else 0
    for key, shape, wanted in (
        (parts[DOWN], down, (rank, *weight[1:])),
        (parts[UP], up, (weight[0], rank, *(1 for _ in weight[2:]))),
    ):
        if not rank or not _same(shape, wanted):
            found.misshapen.append(f"{key} {list(shape)}, not {list(wanted)}")


def _same(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether two shapes are equal except for trailing ones: a 1x1 convolution is also saved as a linear layer, and a
    linear layer as a 1x1 convolution.
    """
    return _without_ones(shape) == _without_ones(wanted)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without trailing ones after its first two dimensions."""
    return shape[:2] if all(side == 1 for side in shape[2:]) else shape


def _split(key: str, endings: Mapping[str, str]) -> tuple[str, str]:
    """(the key without its ending, part), for these endings; (key, "") where it has none of them."""
    for ending, part in endings.items():
        if key.endswith(ending):
            return key.removesuffix(ending), part
    return key, ""


def _refuse_other_kinds(keys: Iterable[str]) -> None:
    """Raises CheckpointError where a key belongs to an adapter that is no plain LoRA."""
    for key in keys:
        for kind, mark in OTHER_KINDS.items():
            if re.search(mark, key):
                raise CheckpointError(f"{key!r} is a {kind} key. Only plain LoRAs can be read.")

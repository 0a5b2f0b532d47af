"""The keys of a LoRA file, in the style of any program, assigned to the layers of a base."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...files.adapter_kinds import PLAIN, adapter_kind, other_kind
from ...files.safetensors import CheckpointError, Shapes, listed
from .weights import ALPHA, DOWN, PEFT, UP

if TYPE_CHECKING:
    # A host that trains in another process may lack the libraries for training.
    from ...model.layers import Place

Split = Callable[[str], tuple[str, str]]
"""A function from a key to (name of the layer, part of the LoRA)."""
Find = Callable[[str], "tuple[Place, ...]"]
"""A function from the name of a layer in a file to the places that it may mean."""
KOHYA = {".lora_down.weight": DOWN, ".lora_up.weight": UP, ".alpha": ALPHA}
"""{end of a kohya key: part of the LoRA}."""
_END = r"(?:(?:\.[^.]+)?\.weight)?$"
"""How a matrix's key ends: with the name of an adapter, as in a live model of peft's, or without."""
ANY_STYLE = (
    (DOWN, re.compile(rf"[._](?:lora_down|lora_A|lora(?:_linear_layer)?\.down){_END}")),
    (UP, re.compile(rf"[._](?:lora_up|lora_B|lora(?:_linear_layer)?\.up){_END}")),
    (ALPHA, re.compile(r"(?:[._]lora(?:_linear_layer)?)?[._]alpha$")),
)
"""(part of the LoRA, how its keys end in any program's style)."""


@dataclass
class LoraKeys:
    """The keys of a LoRA file. parts: {place: {"down", "up", "alpha": key}}, where a place is (component, layer).

    names: {place: the layer's name in the file}. left_out: keys that are no part of any layer. The other lists hold the
    faulty keys, by fault.
    """

    parts: dict[Place, dict[str, str]] = field(default_factory=dict)
    names: dict[Place, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    def require_good(self, file: str) -> None:
        """Raises CheckpointError, showing a few keys, unless every key of a layer has its place and its shape."""
        faults = {
            "of no layer of the base": self.unmatched,
            "missing": self.missing,
            "misshapen": self.misshapen,
            "of a layer that has others already": self.doubled,
        }
        if found := [f"{what}: {listed(keys)}" for what, keys in faults.items() if keys]:
            raise CheckpointError(f"{file!r} does not fit the base. Keys {'; '.join(found)}")


def any_style(key: str) -> tuple[str, str]:
    """(name of the layer, part) of a key in any style; the part is empty for a key that is no part of a LoRA."""
    for part, pattern in ANY_STYLE:
        if ending := pattern.search(key):
            return key[: ending.start()], part
    return key, ""


def kohya_style(key: str) -> tuple[str, str]:
    """(name of the layer, part) of a key in kohya's style only; the part is empty for any other key."""
    return _split(key, KOHYA)


def diffusers_style(key: str) -> tuple[str, str]:
    """(name of the layer, part) of a key in diffusers' style of today only; the part is empty for any other key."""
    return _split(key, PEFT)


def sort_keys(
    shapes: Shapes, find: Find, places: Mapping[Place, tuple[int, ...]], split: Split = any_style
) -> LoraKeys:
    """The keys of a LoRA file with these tensors, assigned to the base's layers and checked against their shapes.

    find: see `Find`; where a name may mean several layers, the one that the shapes fit is meant. places: {place: shape
    of its weight}. split: finds the layer's name in a key. Raises CheckpointError, naming the kind, for an adapter that
    is no plain LoRA.
    """
    _refuse_other_kinds(shapes)
    found, layers = LoraKeys(), dict[str, dict[str, str]]()
    rest: list[str] = []
    for key in shapes:
        name, part = split(key)
        if not part:
            rest.append(key)
        elif part in layers.setdefault(name, {}):
            found.doubled.append(key)
        else:
            layers[name][part] = key
    for name, parts in layers.items():
        _put(found, name, parts, shapes, [(place, places[place]) for place in find(name)])
    for key in rest:
        of_a_layer = any(start in layers or find(start) for start in _starts(key))
        (found.unmatched if of_a_layer else found.left_out).append(key)
    return found


def _put(
    found: LoraKeys, name: str, parts: dict[str, str], shapes: Shapes, meant: list[tuple[Place, tuple[int, ...]]]
) -> None:
    """Record the keys of one layer in `found`. meant: the places that its name may mean, with their weights' shapes."""
    if not meant:
        found.unmatched += parts.values()
        return
    faults = [(_missing(parts), _misshapen(shapes, parts, weight)) for _, weight in meant]
    fitting = next((index for index, fault in enumerate(faults) if not any(fault)), 0)
    place = meant[fitting][0]
    if place in found.parts:
        found.doubled += parts.values()
        return
    found.parts[place], found.names[place] = parts, name
    found.missing += faults[fitting][0]
    found.misshapen += faults[fitting][1]


def _missing(parts: Mapping[str, str]) -> list[str]:
    """Which of one layer's two matrices its keys lack."""
    beside = next(iter(parts.values()))
    return [f"the {half} half beside {beside}" for half in (DOWN, UP) if half not in parts]


def _misshapen(shapes: Shapes, parts: Mapping[str, str], weight: tuple[int, ...]) -> list[str]:
    """Which of one layer's two matrices do not fit its weight, a tensor of the shape `weight`."""
    if DOWN not in parts or UP not in parts:
        return []
    down, up = shapes[parts[DOWN]], shapes[parts[UP]]
    rank = down[0] if down else 0
    wanted = (
        (parts[DOWN], down, (rank, *weight[1:])),
        (parts[UP], up, (weight[0], rank, *(1 for _ in weight[2:]))),
    )
    return [
        f"{key} {list(shape)}, not {list(right)}" for key, shape, right in wanted if not rank or not _same(shape, right)
    ]


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


def _starts(key: str) -> Iterator[str]:
    """The names of modules that a key stands in: "a.b" and "a" for "a.b.weight"."""
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def _refuse_other_kinds(keys: Collection[str]) -> None:
    """Raises CheckpointError for an adapter that is no plain LoRA, naming its kind and one of its keys."""
    kind = adapter_kind(keys)
    if kind not in (None, PLAIN):
        example = next((key for key in keys if other_kind(key)), next(iter(keys)))
        raise CheckpointError(f"{example!r} is a key of {kind}. Only plain LoRAs can be read.")

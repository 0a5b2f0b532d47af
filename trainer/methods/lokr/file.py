"""Files of LoKrs in LyCORIS's layout, which kohya's scripts, ComfyUI and the WebUIs read."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from ...files.safetensors import CheckpointError, Shapes, read_shapes, read_tensors
from ...model.layers import Layers, Place
from ..adapter_file import ReadAdapter, lycoris_fields
from ..lora.keys import Find, LoraKeys
from .layer import LokrLayer

W1, W2, HALVES, ALPHA = "lokr_w1", "lokr_w2", ("lokr_w2_a", "lokr_w2_b"), "alpha"
READ = frozenset({W1, W2, *HALVES, ALPHA})
"""The parts of a layer that are read; LyCORIS has others, for a divided w1 and a Tucker core."""


def lokr_keys(shapes: Shapes, find: Find, places: Mapping[Place, tuple[int, ...]]) -> LoraKeys:
    """The keys of a LoKr file, assigned to the base's layers and checked against their shapes (see `sort_keys`).

    Raises CheckpointError for a LoKr with parts that are not read.
    """
    found, named = LoraKeys(), dict[str, dict[str, str]]()
    for key in shapes:
        name, _, part = key.rpartition(".")
        if (part.startswith("lokr_") and part not in READ) or part == "dora_scale":
            raise CheckpointError(
                f"{key!r} is of a LoKr with {part}. Only those of w1 and w2, whole or halved, can be read."
            )
        if part in READ:
            named.setdefault(name, {})[part] = key
        else:
            found.left_out.append(key)
    for name, parts in named.items():
        _put(found, name, parts, shapes, [(place, places[place]) for place in find(name)])
    return found


def _put(
    found: LoraKeys, name: str, parts: dict[str, str], shapes: Shapes, meant: list[tuple[Place, tuple[int, ...]]]
) -> None:
    """Record the keys of one layer. meant: the places that its name may mean, with their weights' shapes."""
    if not meant:
        found.unmatched += parts.values()
        return
    seconds = [parts[part] for part in (W2, *HALVES) if part in parts]
    if W1 not in parts or [key.rpartition(".")[2] for key in seconds] not in ([W2], [*HALVES]):
        found.missing.append(f"w1 and w2, or its halves, of {name}")
        return
    size = _size(shapes[parts[W1]], [shapes[key] for key in seconds])
    fitting = next((place for place, weight in meant if size == (weight[0], prod(weight[1:]))), None)
    if fitting is None:
        found.misshapen.append(f"{name} {list(size)}, not {list(meant[0][1])}")
    elif fitting in found.parts:
        found.doubled += parts.values()
    else:
        found.parts[fitting], found.names[fitting] = parts, name


def _size(w1: tuple[int, ...], seconds: list[tuple[int, ...]]) -> tuple[int, int]:
    """The size [out, in·k·k] of the Kronecker product of matrices of these shapes; zeros where they are none."""
    if len(w1) != 2 or any(len(shape) < 2 for shape in seconds):
        return 0, 0
    if len(seconds) == 2 and seconds[0][1] != seconds[1][0]:
        return 0, 0
    return w1[0] * seconds[0][0], w1[1] * prod(seconds[-1][1:])


def read_lokr(path: Path, layers: Layers) -> ReadAdapter[LokrLayer]:
    """The LoKr in a file. layers: the base's. Raises CheckpointError, naming the keys, where the file does not fit
    them.
    """
    keys, tensors = lokr_keys(read_shapes(path), layers.meant_by, layers.places), read_tensors(path)
    keys.require_good(path.name)
    lokr: ReadAdapter[LokrLayer] = ReadAdapter(path)
    for (component, name), parts in keys.parts.items():
        second: Any = tuple(tensors[parts[part]] for part in (W2, *HALVES) if part in parts)
        rank = second[-1].shape[0]
        alpha = float(tensors[parts[ALPHA]]) if ALPHA in parts else float(rank)
        lokr.setdefault(component, {})[name] = LokrLayer(tensors[parts[W1]], second, alpha)
    return lokr


def lokr_fields(lokr: Mapping[str, Mapping[str, LokrLayer]]) -> dict[str, str]:
    """kohya's metadata on a LoKr's module, rank, alpha and factor."""
    layers = [layer for own in lokr.values() for layer in own.values()]
    halved = [layer for layer in layers if layer.rank is not None]
    values = {(layer.rank, layer.alpha) for layer in halved}
    rank, alpha = values.pop() if len(values) == 1 else ("Dynamic", "Dynamic")
    sides = {min(layer.w1.shape) for layer in layers}
    # LyCORIS's -1: as square as every layer allows.
    fields = lycoris_fields("lokr", {"factor": sides.pop() if len(sides) == 1 else -1})
    return {**fields, "ss_network_dim": str(rank), "ss_network_alpha": str(alpha)}

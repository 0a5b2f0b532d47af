"""Files of LiDBs: a rank-1 LoRA that every host loads, or one tensor of the trained numbers alone, with their seed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...files.adapter_kinds import LIDB, adapter_kind
from ...files.lazy_tensors import finite
from ...files.safetensors import CheckpointError, read_metadata, read_shapes, read_tensors
from ...model.layers import Layers, Place
from ..adapter_file import ReadAdapter
from ..lora.file import read_lora
from ..lora.keys import LoraKeys
from ..lora.layouts import network_metadata
from ..lora.weights import LoraLayer, LoraWeights
from .auxiliary import Auxiliary, sizes
from .layer import LidbLayer
from .start import FIELD, lidb_seed

KEY = "lidb"
"""The name of the one tensor: A and B of every layer, in the order of the layers that FIELD names."""
LidbWeights = Mapping[str, Mapping[str, LidbLayer]]
"""{component: {our name of a layer: its LiDB}}."""


def as_lora(lidb: LidbWeights) -> LoraWeights:
    """The rank-1 LoRA with the same update."""
    return {component: {name: layer.lora() for name, layer in own.items()} for component, own in lidb.items()}


def lidb_fields(lidb: LidbWeights) -> dict[str, str]:
    """The metadata of the LiDB as a LoRA: kohya's, and the seed that it is gone on from by."""
    return {**network_metadata(as_lora(lidb)), FIELD: json.dumps({"seed": _seed(lidb)})}


def one_tensor(lidb: LidbWeights) -> tuple[dict[str, Tensor], dict[str, str]]:
    """({KEY: the trained numbers in float16}, {FIELD: seed and names of layers}) of the small file. Raises ValueError
    for numbers that float16 cannot represent.
    """
    numbers = [part.detach().flatten().cpu() for _, _, layer in _all(lidb) for part in (layer.a, layer.b)]
    names: dict[str, dict[str, str]] = {}
    for component, name, _ in _all(lidb):
        parent, _, own = name.rpartition(".")
        beside = names.setdefault(component, {})
        beside[parent] = f"{beside[parent]} {own}" if parent in beside else own
    said = json.dumps({"seed": _seed(lidb), "layers": names}, separators=(",", ":"))
    return {KEY: finite(torch.cat(numbers).half(), KEY)}, {FIELD: said}


def lidb_keys(path: Path, places: Mapping[Place, tuple[int, ...]]) -> LoraKeys:
    """The layers of a small file, beside those of the base. Raises CheckpointError where its metadata do not tell."""
    found = LoraKeys()
    for place in _named(path):
        if place in places:
            found.parts[place], found.names[place] = {KEY: KEY}, place[1]
        else:
            found.unmatched.append(".".join(place))
    (count,), wanted = read_shapes(path)[KEY], sum(sum(sizes(places[place])) for place in found.parts)
    if not found.unmatched and count != wanted:
        found.misshapen.append(f"{KEY} [{count}], not [{wanted}]")
    return found


def read_lidb(path: Path, layers: Layers) -> ReadAdapter[LidbLayer]:
    """The LiDB in a file of either form, by the layers of a base. Raises CheckpointError where it does not fit, and for
    a LoRA that was changed since.
    """
    if adapter_kind(read_shapes(path)) == LIDB:
        return _of_one_tensor(path, layers)
    seed, lora = lidb_seed(path), read_lora(path, layers)
    lidb: ReadAdapter[LidbLayer] = ReadAdapter(lora.file)
    lidb.warnings = lora.warnings
    for component, own in lora.items():
        for name, layer in own.items():
            auxiliary = Auxiliary.of(seed, (component, name), layers.places[component, name])
            if (found := LidbLayer.from_lora(layer, auxiliary)) is None:
                raise CheckpointError(
                    f"{path.name!r} was changed after its training: {name} of {component} is no LiDB of the seed "
                    f"{seed} any more. Go on from it with the method 'lora'."
                )
            lidb.setdefault(component, {})[name] = found
    return lidb


def read_as_lora(path: Path, layers: Layers) -> ReadAdapter[LoraLayer]:
    """A LiDB of one tensor as the rank-1 LoRA with the same update."""
    lora: ReadAdapter[LoraLayer] = ReadAdapter(path)
    for component, own in as_lora(_of_one_tensor(path, layers)).items():
        lora[component] = dict(own)
    return lora


def _of_one_tensor(path: Path, layers: Layers) -> ReadAdapter[LidbLayer]:
    """The LiDB in a small file."""
    lidb_keys(path, layers.places).require_good(path.name)
    numbers, seed = read_tensors(path)[KEY].float(), lidb_seed(path)
    lidb: ReadAdapter[LidbLayer] = ReadAdapter(path)
    for component, name in _named(path):
        weight = layers.places[component, name]
        count, more = sizes(weight)
        a, b, numbers = numbers[:count], numbers[count : count + more], numbers[count + more :]
        layer = LidbLayer(a, b, Auxiliary.of(seed, (component, name), weight))
        lidb.setdefault(component, {})[name] = layer
    return lidb


def _named(path: Path) -> list[Place]:
    """The layers that a small file's metadata name, in their order. Raises CheckpointError where there are none."""
    lidb_seed(path)
    said: Any = json.loads(read_metadata(path)[FIELD]).get("layers")
    try:
        return [
            (component, f"{parent}.{own}" if parent else own)
            for component, beside in said.items()
            for parent, names in beside.items()
            for own in names.split()
        ]
    except AttributeError as error:
        raise CheckpointError(f"{path.name!r} does not name its layers ({FIELD!r} in its metadata).") from error


def _all(lidb: LidbWeights) -> Iterator[tuple[str, str, LidbLayer]]:
    """(component, name, LiDB) of every layer, those of one module together, as the small file's metadata name them."""
    for component, own in lidb.items():
        parents = dict.fromkeys(name.rpartition(".")[0] for name in own)
        for parent in parents:
            yield from ((component, name, one) for name, one in own.items() if name.rpartition(".")[0] == parent)


def _seed(lidb: LidbWeights) -> int:
    """The seed of the auxiliary matrices."""
    return next(layer.auxiliary.seed for _, _, layer in _all(lidb))

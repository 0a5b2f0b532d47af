"""Adapters of any kind that can be read: LoRA, DoRA, LoKr, LiDB."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..files.adapter_kinds import DORA, LIDB, LOKR, adapter_kind
from ..files.safetensors import read_shapes
from .adapter_file import ReadAdapter
from .dora.file import dora_fields, dora_keys, read_dora
from .dora.layer import DoraLayer
from .lidb.file import lidb_fields, lidb_keys, read_as_lora
from .lidb.layer import LidbLayer
from .lokr.file import lokr_fields, lokr_keys, read_lokr
from .lokr.layer import LokrLayer
from .lora.file import read_lora, sorted_keys
from .lora.folder import AdapterFile
from .lora.keys import LoraKeys
from .lora.layouts import network_metadata

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..model.layers import Layers


class AdapterLayer(Protocol):
    """One layer's part of an adapter."""

    def merged(self, weight: Tensor, strength: float = 1.0) -> Tensor:
        """The weight with the adapter at a strength, in float32."""

    def kohya_tensors(self, name: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """{key: tensor} in kohya's and LyCORIS's layout. name: of the layer there."""


AdapterWeights = Mapping[str, Mapping[str, AdapterLayer]]
"""{component: {our name of a layer: its part}}."""


def kind_of(path: Path) -> str | None:
    """The kind of adapter in a file, with its article (see `files.adapter_kinds`); None for a file without one, and for
    a folder, whose files are read as LoRAs.
    """
    return None if path.is_dir() else adapter_kind(read_shapes(path))


def read_adapter(path: Path, layers: Layers) -> ReadAdapter[Any]:
    """The adapter at a path, by the layers of a base. Raises CheckpointError where it is none of LoRA, DoRA, LoKr
    and LiDB, and where it does not fit.
    """
    kind = kind_of(path)
    if kind == LIDB:
        return read_as_lora(path, layers)
    if kind == DORA:
        return read_dora(path, layers)
    return read_lokr(path, layers) if kind == LOKR else read_lora(path, layers)


def adapter_keys(own: AdapterFile, layers: Layers) -> LoraKeys:
    """The keys of one file of an adapter, assigned to the layers of a base. Raises CheckpointError for another kind."""
    kind = kind_of(own.file)
    if kind == DORA:
        return dora_keys(read_shapes(own.file), layers.meant_by, layers.places)
    if kind == LOKR:
        return lokr_keys(read_shapes(own.file), layers.meant_by, layers.places)
    return lidb_keys(own.file, layers.places) if kind == LIDB else sorted_keys(own, layers)


def adapter_metadata(adapter: Any) -> dict[str, str]:
    """The metadata of an adapter's file: kohya's network module, rank, alpha and arguments, and the seed of a LiDB.

    adapter: {component: {layer: its part}}, not empty.
    """
    first = next(layer for own in adapter.values() for layer in own.values())
    if isinstance(first, DoraLayer):
        return dora_fields(adapter)
    if isinstance(first, LidbLayer):
        return lidb_fields(adapter)
    return lokr_fields(adapter) if isinstance(first, LokrLayer) else network_metadata(adapter)

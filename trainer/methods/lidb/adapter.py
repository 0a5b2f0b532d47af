"""The training method LiDB, "lightweight DreamBooth": ΔW = A_aux·A·B·B_aux with A_aux and B_aux random, orthonormal and
frozen (Ruiz et al., HyperDreamBooth, section 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from torch import nn

from ...model.base import Base
from ...model.layers import layers_of
from ...options import TrainOptions
from ...options.choices import MethodName
from ...randomness import generator
from ..adapter_file import ReadAdapter
from ..layer_adapter import LayerAdapter
from ..lora.adapter import uniform_start
from .auxiliary import Auxiliary, Place
from .file import lidb_fields, read_lidb
from .layer import LidbLayer
from .module import LidbUpdated


class Lidb(LayerAdapter[LidbLayer]):
    """The training method LiDB, of rank 1 whatever the options' rank."""

    name: ClassVar[MethodName] = "lidb"
    kind: ClassVar[str] = "LiDB"

    @staticmethod
    def read_start(file: Path, base: Base, options: TrainOptions) -> ReadAdapter[LidbLayer]:
        """The LiDB to continue from (see `read_lidb`)."""
        return read_lidb(file, layers_of(base))

    def _updated(
        self, layer: nn.Linear | nn.Conv2d, start: LidbLayer | None, options: TrainOptions, place: Place
    ) -> LidbUpdated:
        """A layer with its update: A begins at zero, B as a LoRA's. A layer that `start` lacks gets the auxiliary
        matrices of its seed.
        """
        seed = next((one.auxiliary.seed for own in self._start.values() for one in own.values()), options.seed)
        weight = layer.weight
        updated = LidbUpdated(layer, Auxiliary.of(seed, place, weight.shape, weight.device))
        if start is not None:
            updated.lidb_a.copy_(start.a)
            updated.lidb_b.copy_(start.b)
        elif not weight.is_meta:
            shape = (1, *updated.lidb_b.shape)
            updated.lidb_b.copy_(uniform_start(shape, generator(options.seed, f"lidb.{'.'.join(place)}.b", 0))[0])
        return updated

    def _fields(self, adapter: Mapping[str, Mapping[str, LidbLayer]]) -> dict[str, str]:
        """The metadata of the LiDB as a LoRA (see `lidb_fields`)."""
        return lidb_fields(adapter)

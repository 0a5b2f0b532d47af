"""The training method LoKr: the update of frozen weights as a Kronecker product (Yeh et al., 2023), by LyCORIS's
definition.
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
from ...options.setting import OptionError
from ...randomness import generator
from ..adapter_file import ReadAdapter
from ..layer_adapter import LayerAdapter
from ..lora.adapter import uniform_start
from .file import lokr_fields, read_lokr
from .layer import LokrLayer
from .module import LokrUpdated, new_shapes


class Lokr(LayerAdapter[LokrLayer]):
    """The training method LoKr."""

    name: ClassVar[MethodName] = "lokr"
    kind: ClassVar[str] = "LoKr"

    @staticmethod
    def read_start(file: Path, base: Base, options: TrainOptions) -> ReadAdapter[LokrLayer]:
        """The LoKr to continue from (see `read_lokr`)."""
        return read_lokr(file, layers_of(base))

    def _updated(
        self, layer: nn.Linear | nn.Conv2d, start: LokrLayer | None, options: TrainOptions, place: tuple[str, str]
    ) -> LokrUpdated:
        """A layer with its update, begun as LyCORIS does: w1 and w2_a uniform, w2 and w2_b zero. Raises OptionError
        where `start` has another rank or alpha than the options.
        """
        name = ".".join(place)
        if start is not None:
            return _started(layer, start, options, name)
        shapes = new_shapes(layer.weight.shape, options.rank, options.factor)
        updated = LokrUpdated(layer, shapes, float(options.rank) if "lokr_w2" in shapes else options.lora_alpha)
        for part, weight in updated.named_parameters(recurse=False):
            if part in ("lokr_w1", "lokr_w2_a"):
                weight.copy_(uniform_start(weight.shape, generator(options.seed, f"lokr.{name}.{part}", 0)))
        return updated

    def _fields(self, adapter: Mapping[str, Mapping[str, LokrLayer]]) -> dict[str, str]:
        """kohya's metadata (see `lokr_fields`)."""
        return lokr_fields(adapter)


def _started(layer: nn.Linear | nn.Conv2d, start: LokrLayer, options: TrainOptions, name: str) -> LokrUpdated:
    """A layer with the update of `start`. Raises OptionError for another rank or alpha than the options'."""
    for option, asked, found in (("rank", options.rank, start.rank), ("alpha", options.alpha, start.alpha)):
        if start.rank is not None and asked not in (None, found):
            raise OptionError(f"{option} is {asked:g}, and {name} has {found:g}: leave {option} unset to keep it.")
    tensors = {"lokr_w1": start.w1, **dict(zip(start.names_of_w2, start.w2, strict=True))}
    updated = LokrUpdated(layer, {part: tuple(tensor.shape) for part, tensor in tensors.items()}, start.alpha)
    for part, parameter in updated.named_parameters(recurse=False):
        parameter.copy_(tensors[part])
    return updated

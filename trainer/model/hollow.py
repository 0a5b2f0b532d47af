"""A model without numbers: names, shapes and dtypes, on torch's meta device, to be counted and not computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

from ..files.safetensors import Shapes
from .base import Base
from .families import family_of
from .source import Source

META = torch.device("meta")


@dataclass(frozen=True)
class Hollow:
    """A source whose tensors take no memory."""

    name: str
    shapes: Shapes
    hints: Mapping[str, str]

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """On the meta device, in float32."""
        return {key: torch.empty(s, device=META) for key, s in self.shapes.items() if key.startswith(prefix)}


def hollow_base(source: Source, dtype: torch.dtype) -> Base:
    """A base as it is loaded from `source`, but for its numbers. dtype: of the denoiser's layers."""
    empty = Hollow(source.name, source.shapes, source.hints)
    # What it answers changes no size, and a family may look at numbers to tell.
    return family_of(source)(empty, "epsilon", dtype).to(META)


@contextmanager
def checkpoints_on_meta() -> Iterator[None]:
    """Torch 2.3 looks for a module of the device's name when it checkpoints, and has none for the meta device."""
    torch.meta = ModuleType("meta")  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del torch.meta  # type: ignore[attr-defined]

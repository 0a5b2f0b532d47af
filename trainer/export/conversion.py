"""The request and the result of a conversion between file layouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ..model.layers import Layers
from ..model.source import Source
from .layouts import Layout
from .low_rank_error import LowRankError

TORCH = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
"""{dtype's name: torch's dtype}."""


class ConversionError(ValueError):
    """A conversion that is not possible; the message says what is missing."""


@dataclass(frozen=True)
class Converted:
    """The result of a conversion. path: the file, or the diffusers folder. error: the approximation error of a
    "difference".

    same_base: whether the source was trained from the base that it was converted with; None where the source does not
    tell or no base was given. left_out: what the result does not hold, each one sentence.
    """

    path: Path
    error: LowRankError | None = None
    same_base: bool | None = None
    left_out: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons against using the result, each one sentence."""
        if self.same_base is not False:
            return self.left_out
        other = "the source says that it was trained from another base, where it will look different"
        return (other, *self.left_out)


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The request of a conversion. source: a LoRA or a checkpoint. target: the file or folder to write, which must not
    exist.

    base: the model that the source was trained from, in any form. layers: the base's layers, where only these are
    known. rank: of the LoRA that a "difference" makes. strength: of a LoRA that is merged into the base. prediction:
    the base's prediction type, where its files do not tell. Raises ConversionError.
    """

    source: Path
    layout: Layout
    target: Path
    base: Path | Source | None = None
    layers: Layers | None = None
    rank: int = 32
    dtype: str = "fp16"
    strength: float = 1.0
    prediction: str | None = None

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConversionError(f"rank is {self.rank}; it must be 1 or more.")
        if self.target.exists():
            raise ConversionError(f"{self.target.name!r} exists; name a new file.")

    @property
    def numbers(self) -> torch.dtype:
        """The torch dtype of the written weights."""
        return TORCH[self.dtype]

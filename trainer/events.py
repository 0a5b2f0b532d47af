"""What a run tells its host while it works, and how the host stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

PhaseName = Literal["loading", "encoding", "training", "sampling", "saving", "finished"]


@dataclass(frozen=True)
class Phase:
    """A part of the run begins."""

    name: PhaseName


@dataclass(frozen=True)
class Step:
    """One optimizer step is done. `prior` is None without priors; times in seconds."""

    step: int
    steps: int
    instance: float
    prior: float | None
    learning_rate: float
    steps_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Sample:
    """Pictures drawn by the model as it now is: [B, 3, H, W] in 0..1 on the CPU."""

    step: int
    prompt: str
    images: Tensor


@dataclass(frozen=True)
class Saved:
    """A file is on disk, whole."""

    path: Path


@dataclass(frozen=True)
class Warned:
    """Something that the user should know while the run goes on, one sentence with the likely cause."""

    text: str


@dataclass(frozen=True)
class PriorsCounted:
    """Class pictures: how many are asked for, were on disk already, and have been drawn so far."""

    asked: int
    reused: int
    drawn: int


Event = Phase | Step | Sample | Saved | Warned | PriorsCounted
Tell = Callable[[Event], None]
Stop = Callable[[], bool]
"""Asked between steps; True ends the run after the current step, and what was trained is saved."""


def tell_nobody(event: Event) -> None:
    """A listener for callers that want none."""


def never() -> bool:
    """A stop flag that is never raised."""
    return False

"""What a run tells its host while it works, and how the host stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    """One optimizer step is done. `prior` is None without priors; times in seconds.

    gradient_norm: of all trained weights together, before it was cut.
    """

    step: int
    steps: int
    instance: float
    prior: float | None
    learning_rate: float
    steps_per_second: float
    seconds_left: float
    gradient_norm: float


@dataclass(frozen=True)
class Resumed:
    """The run goes on after these steps, which were trained before."""

    points: tuple[Step, ...]


@dataclass(frozen=True)
class Planned:
    """How the run is made to fit into memory, in a line."""

    text: str


@dataclass(frozen=True)
class Warned:
    """Something that the user should know and that ends nothing."""

    text: str


@dataclass(frozen=True)
class Sample:
    """Pictures drawn by the model as it now is: [B, 3, H, W] in 0..1 on the CPU."""

    step: int
    prompt: str
    images: Tensor


@dataclass(frozen=True)
class Saved:
    """A file is on disk, whole. last: the run's result; False for one to choose from on the way."""

    path: Path
    last: bool = True


class StoppedEarly(RuntimeError):
    """A run that was stopped before its first step: there is nothing to save."""


@dataclass(frozen=True)
class PriorsCounted:
    """Class pictures: how many are asked for, were on disk already, and have been drawn so far."""

    asked: int
    reused: int
    drawn: int


Event = Phase | Step | Resumed | Planned | Warned | Sample | Saved | PriorsCounted
Tell = Callable[[Event], None]
Stop = Callable[[], bool]
"""Asked between steps; True ends the run after the current step, and what was trained is saved."""


def tell_nobody(event: Event) -> None:
    """A listener for callers that want none."""


def never() -> bool:
    """A stop flag that is never raised."""
    return False


@dataclass
class PhaseSeconds:
    """seconds: by phase; what a phase inside another takes counts in both."""

    tell: Tell
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def during(self, name: PhaseName) -> Iterator[None]:
        """A phase lasts as long as this context."""
        self.tell(Phase(name))
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

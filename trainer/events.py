"""The events that a run reports to its host, and the callback by which the host stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    # A host that trains in another process may have another torch, or none.
    from torch import Tensor

PhaseName = Literal["loading", "encoding", "training", "sampling", "saving", "finished"]


@dataclass(frozen=True)
class Phase:
    """The beginning of a phase of the run."""

    name: PhaseName


@dataclass(frozen=True)
class Step:
    """A completed optimizer step, with its losses. prior: None without priors. Times in seconds.

    gradient_norm: of all trained weights together, before clipping.
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
    """The run continues after these steps, which were trained before."""

    points: tuple[Step, ...]


@dataclass(frozen=True)
class Planned:
    """The memory plan of the run, in one line."""

    text: str


@dataclass(frozen=True)
class Warned:
    """A warning, which does not end the run."""

    text: str


@dataclass(frozen=True)
class Sample:
    """Images sampled from the model after `step` steps: [B, 3, H, W] in 0..1, on the CPU."""

    step: int
    prompt: str
    images: Tensor


@dataclass(frozen=True)
class Scored:
    """The scores of the model after `step` steps, on a few fixed pictures; means over them (see `scores.measure`).

    likeness: of pictures of the subject to its photos. prompt_following: how far they show the place asked for.
    class_leak: likeness of pictures of the class to the photos (PRES). variety: mean distance between those (DIV).
    returns_photo: the share of pictures that are nearer to a photo than the photos are to each other, 0 to 1; None
    with one photo. chosen: the step that is the result so far by `scores.rule`; None where no step is.
    """

    step: int
    likeness: float
    prompt_following: float
    class_leak: float
    variety: float
    returns_photo: float | None
    chosen: int | None = None


@dataclass(frozen=True)
class Validated:
    """The loss after `step` steps on a photo that is held out, where nothing can look at pictures.

    loss: a mean over fixed noise and timesteps; base: the base's on the same. error: the standard error of the mean of
    their differences.
    """

    step: int
    loss: float
    base: float
    error: float


@dataclass(frozen=True)
class Saved:
    """A completely written file. last: True for the run's result, False for an intermediate file to choose from.
    ended_early: whether the run is finished with steps left, because its scores rise no more.
    """

    path: Path
    last: bool = True
    ended_early: bool = False


class StoppedEarly(RuntimeError):
    """The run was stopped before its first step, so that there is nothing to save."""


@dataclass(frozen=True)
class PriorsCounted:
    """The number of class images: requested in all, reused from disk, and sampled so far."""

    asked: int
    reused: int
    drawn: int


Event = Phase | Step | Resumed | Planned | Warned | Sample | Scored | Validated | Saved | PriorsCounted
Tell = Callable[[Event], None]
"""The callback that receives events."""
Stop = Callable[[], bool]
"""A callback that is called between steps; True ends the run after the current step, and the trained
weights are saved.
"""


def tell_nobody(event: Event) -> None:
    """The callback of a caller that wants no events."""


def never() -> bool:
    """The callback of a caller that never stops the run."""
    return False


@dataclass
class PhaseSeconds:
    """The durations of a run's phases. seconds: {phase: its duration}; a phase within another one counts in both."""

    tell: Tell
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def during(self, name: PhaseName) -> Iterator[None]:
        """A context that reports the beginning of a phase and measures its duration."""
        self.tell(Phase(name))
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

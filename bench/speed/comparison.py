"""What was measured of all contenders, a line for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .contenders import Contender
from .rounds import Round


@dataclass(frozen=True)
class Share:
    """What one step costs, counted: floating-point operations, and the least seconds by the matrix peak and in all."""

    flops: float
    matrix_seconds: float
    roofline_seconds: float


@dataclass(frozen=True)
class Line:
    """One contender in one training, over all rounds.

    Medians, but for memory, which is the highest; bytes. ratio: speed of the one of ours that it is compared with, by
    its own: median, lowest and highest of the rounds; None for ours. of_matrix, of_roofline: 0 to 1, of ours alone.
    """

    training: str
    method: str
    device: str
    precision: str
    contender: str
    steps_per_second: float
    images_per_second: float
    ratio: tuple[float, float, float] | None
    first_step: float
    peak_memory: int
    device_memory: int | None
    of_matrix: float | None = None
    of_roofline: float | None = None
    against: str = ""


@dataclass(frozen=True)
class Trained:
    """What the lines of one training have in common. images: in a step, class images included."""

    training: str
    method: str
    device: str
    precision: str
    images: int


def compare(trained: Trained, sides: Sequence[Contender], rounds: Sequence[Round], share: Share | None) -> list[Line]:
    """One line for each side. A ratio is the median of the rounds' own: a neighbour's load strikes both."""
    return [_line(trained, side, rounds, share) for side in sides]


def _line(trained: Trained, side: Contender, rounds: Sequence[Round], share: Share | None) -> Line:
    found = [one[side.name] for one in rounds]
    speed = median(one.steps_per_second for one in found)
    ours = [one[side.against] for one in rounds] if side.against else []
    ratios = [a.steps_per_second / b.steps_per_second for a, b in zip(ours, found, strict=False)]
    known = [one.device_memory for one in found if one.device_memory is not None]
    counted = None if side.against else share
    return Line(
        training=trained.training,
        method=trained.method,
        device=trained.device,
        precision=trained.precision,
        contender=side.name,
        steps_per_second=speed,
        images_per_second=speed * trained.images,
        ratio=(median(ratios), min(ratios), max(ratios)) if ratios else None,
        first_step=median(one.first_step for one in found),
        peak_memory=max(one.peak_memory for one in found),
        device_memory=max(known) if known else None,
        of_matrix=None if counted is None else speed * counted.matrix_seconds,
        of_roofline=None if counted is None else speed * counted.roofline_seconds,
        against=side.against,
    )


def record(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """Every single measurement, ready for JSON, in the order of the rounds."""
    return [{name: asdict(measurement) for name, measurement in one.items()} for one in rounds]

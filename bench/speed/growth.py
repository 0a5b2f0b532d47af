"""How time and memory grow with the work: one thing at a time is made larger, everything else left alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ..measured_process import Measurement
from .contenders import OURS, Contender, our_command
from .materials import Task
from .rounds import Place

WARM_UP, STEPS = 3, 9
VARIED: dict[str, tuple[int, ...]] = {
    "batch_size": (1, 2, 4, 8),
    "resolution": (64, 128, 192),
    "rank": (4, 16, 64),
    "photos": (5, 20, 80),
    "class_images": (12, 48, 192),
}
"""{field of `Task`: its values}; the first is that of the training that all others are compared with."""


@dataclass(frozen=True)
class Point:
    """One training. images: in a step."""

    value: int
    images: int
    found: Measurement


@dataclass(frozen=True)
class Growth:
    """A quantity that was varied, and what came out."""

    varied: str
    points: tuple[Point, ...]

    def exponent(self, of: Callable[[Measurement], float]) -> float:
        """p of the best fit cost = c · value^p, by least squares of the logarithms."""
        x = [math.log(point.value) for point in self.points]
        y = [math.log(of(point.found)) for point in self.points]
        return sum((a - fmean(x)) * (b - fmean(y)) for a, b in zip(x, y, strict=True)) / sum(
            (a - fmean(x)) ** 2 for a in x
        )


def measure_growth(place: Place, varied: Sequence[str] = tuple(VARIED)) -> list[Growth]:
    """Short LoRA trainings of ours, each in a process of its own."""
    short, side = replace(place, warm_up=WARM_UP), Contender(OURS, our_command)
    start = Task(method="lora", steps=STEPS, **{name: values[0] for name, values in VARIED.items()})  # type: ignore[arg-type]
    first = short.measure(side, start, "growth")
    found = []
    for name in varied:
        points = [Point(VARIED[name][0], 2 * start.batch_size, first)]
        for value in VARIED[name][1:]:
            task = replace(start, **{name: value})  # type: ignore[arg-type]
            points.append(Point(value, 2 * task.batch_size, short.measure(side, task, f"growth {name} {value}")))
        found.append(Growth(name, tuple(points)))
    return found

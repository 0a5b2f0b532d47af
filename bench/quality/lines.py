"""A row over all subjects: its samples, means and curve, and what two rows are to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .cell import Cell, Scores
from .estimate import Estimate, mean_of, paired_difference
from .prompts import SEEDS, Prompt

COLUMNS = ("likeness", "prompt_following", "pres", "div", "class_accuracy")


@dataclass(frozen=True)
class Line:
    """One row over all subjects, seen by one scorer."""

    name: str
    cells: Sequence[Cell]
    scorer: str

    def sample(self, column: str, subjects: Sequence[str] | None = None) -> list[float]:
        """All values of a column, in the order of subjects, prompts and seeds."""
        cells = [c for c in self.cells if subjects is None or c.subject in subjects]
        return [value for cell in cells for value in getattr(cell.last[self.scorer], column)]

    def mean(self, column: str) -> Estimate:
        """The column's mean."""
        return mean_of(self.sample(column))

    def following(self, prompts: Sequence[Prompt]) -> dict[str, Estimate]:
        """{kind of prompt: the mean of prompt following}. prompts: those that the pictures were drawn by."""
        kinds = [prompt.kind for _ in self.cells for prompt in prompts for _ in range(SEEDS)]
        values = list(zip(kinds, self.sample("prompt_following"), strict=True))
        return {kind: mean_of([value for own, value in values if own == kind]) for kind in dict.fromkeys(kinds)}

    def curve(self) -> list[tuple[int, float, float]]:
        """(steps, prompt_following, likeness) at every look, over all subjects."""
        steps = sorted(self.cells[0].looks)
        looks: list[list[Scores]] = [[cell.looks[step][self.scorer] for cell in self.cells] for step in steps]
        return [
            (step, _mean([v for s in look for v in s.prompt_following]), _mean([v for s in look for v in s.likeness]))
            for step, look in zip(steps, looks, strict=True)
        ]

    @property
    def seconds(self) -> float:
        """What a training took, on average."""
        return _mean([cell.cost.seconds for cell in self.cells if cell.cost])


def difference(lines: dict[str, Line], first: str, second: str, column: str) -> Estimate:
    """Mean paired difference of a column between two rows, over the subjects that both have."""
    a, b = lines[first], lines[second]
    shared = [cell.subject for cell in a.cells if cell.subject in {other.subject for other in b.cells}]
    return paired_difference(a.sample(column, shared), b.sample(column, shared))


def way_to_real(lines: dict[str, Line], name: str, real: float) -> float:
    """How far likeness went from the base's random class member (0) to the real photos (1)."""
    base, trained = lines["base"].mean("likeness").value, lines[name].mean("likeness").value
    return (trained - base) / (real - base)


def likeness_at(curve: Sequence[tuple[int, float, float]], prompt_following: float) -> float | None:
    """The highest likeness that a curve has at this prompt following or above, interpolated between looks.

    None where the whole curve lies below.
    """
    reached = [likeness for _, faithful, likeness in curve if faithful >= prompt_following]
    for (_, f1, l1), (_, f2, l2) in pairwise(curve):
        if min(f1, f2) <= prompt_following <= max(f1, f2) and f1 != f2:
            reached.append(l1 + (l2 - l1) * (prompt_following - f1) / (f2 - f1))
    return max(reached, default=None)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

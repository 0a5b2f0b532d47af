"""The rule that chooses the result of a training among its steps.

The result is the earliest step whose likeness is within δ of the best, among the steps whose prompt following and
variety are at most δ below the base's. Later ones among these are more alike by δ at most, and have had longer to
forget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..events import Scored

LIKENESS, VARIETY = 0.03, 0.05
"""δ of likeness and of variety."""


@dataclass(frozen=True)
class Rule:
    """The rule for one training. base: its scores. prompt_following_margin: δ of prompt following (`Scorer.margin`)."""

    base: Scored
    prompt_following_margin: float

    def keeps_the_base(self, point: Scored) -> bool:
        """Whether a step's prompt following and variety are at most δ below the base's."""
        follows = point.prompt_following >= self.base.prompt_following - self.prompt_following_margin
        return follows and point.variety >= self.base.variety - VARIETY

    def candidates(self, points: Sequence[Scored]) -> list[Scored]:
        """The chosen step, then those that would be chosen if a later step were more alike.

        These are the steps within δ of the best likeness that are more alike than every earlier one: of two that are
        equally alike the earlier is preferred, and the best likeness never falls.
        """
        kept = [point for point in points if self.keeps_the_base(point)]
        best = max((point.likeness for point in kept), default=0.0)
        return [point for point in _records(kept) if point.likeness >= best - LIKENESS]

    def chosen(self, points: Sequence[Scored]) -> Scored | None:
        """The chosen step; None where no step keeps the base's prompt following and variety."""
        return next(iter(self.candidates(points)), None)

    def scores_without_gain(self, points: Sequence[Scored]) -> int:
        """The number of scores since the most alike step that keeps the base; 0 while there is none."""
        kept = [point for point in points if self.keeps_the_base(point)]
        if not kept:
            return 0
        best = max(kept, key=lambda point: point.likeness)
        return len(points) - 1 - points.index(best)

    def reason(self, points: Sequence[Scored]) -> str:
        """Why the chosen step is the result, in one sentence, for the file's metadata."""
        found = self.chosen(points)
        if found is None:
            return (
                f"the last step: none of {len(points)} scored steps kept prompt following within "
                f"{self.prompt_following_margin:g} and variety within {VARIETY:g} of the base's"
            )
        return (
            f"step {found.step} of {len(points)} scored steps: the earliest within {LIKENESS:g} of the best likeness "
            f"(its own is {found.likeness:.3f}) that keeps prompt following within {self.prompt_following_margin:g} "
            f"and variety within {VARIETY:g} of the base's"
        )


def _records(points: Sequence[Scored]) -> Iterator[Scored]:
    """The points that are more alike than every earlier one."""
    best = float("-inf")
    for point in points:
        if point.likeness > best:
            best = point.likeness
            yield point

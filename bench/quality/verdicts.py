"""What two rows are to each other over subjects and seeds: superior, non-inferior, or undecided.

A subject's difference is the mean over its seeds; subjects are the sample, so that more seeds of one subject do not
count as more subjects. The interval is Student's, at 95%. Superior: it lies above zero. Non-inferior: it lies above
−margin as a whole. Else undecided, which changes no default.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .estimate import CONFIDENCE, Estimate
from .trainings import JUDGES, Training

MARGINS = {"likeness": 0.03, "prompt_following": 0.05, "class_leak": 0.05, "variety": 0.05}
"""{figure: how far a row may fall behind and still be non-inferior}."""
LOWER_IS_BETTER = ("class_leak",)


@dataclass(frozen=True)
class Comparison:
    """One figure of a row against a reference row. difference: positive is better; subjects: how many have both."""

    row: str
    reference: str
    figure: str
    judge: int
    difference: Estimate
    subjects: int

    @property
    def verdict(self) -> str:
        """superior, non-inferior or undecided."""
        if self.difference.low > 0:
            return "superior"
        return "non-inferior" if self.difference.low > -MARGINS[self.figure] else "undecided"


def compared(trainings: Sequence[Training], row: str, reference: str) -> list[Comparison]:
    """Every figure by every judge, paired by base, subject and seed; empty where fewer than two subjects have both."""
    pairs = _pairs(trainings, row, reference)
    if len(pairs) < 2:
        return []
    found = []
    for judge in range(JUDGES):
        for figure in MARGINS:
            sign = -1 if figure in LOWER_IS_BETTER else 1
            means = [
                sign * float(np.mean([mine.figure(figure, judge) - other.figure(figure, judge) for mine, other in own]))
                for own in pairs.values()
            ]
            found.append(Comparison(row, reference, figure, judge, mean_over_subjects(means), len(means)))
    return found


def mean_over_subjects(values: Sequence[float]) -> Estimate:
    """The mean with Student's 95% interval. Raises ValueError for fewer than two values."""
    if len(values) < 2:
        raise ValueError(f"{len(values)} subjects make no interval; two or more do")
    mean, error = float(np.mean(values)), float(stats.sem(values))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return Estimate(mean, mean - reach, mean + reach)


def halves(subjects: Iterable[str]) -> tuple[list[str], list[str]]:
    """The subjects that a variant is chosen on, and those that it is confirmed on: every other one by name."""
    ordered = sorted(subjects)
    return ordered[::2], ordered[1::2]


def table(comparisons: Iterable[Comparison]) -> str:
    """The comparisons in Markdown."""
    lines = [
        f"| {c.row} | {c.reference} | {c.figure.replace('_', ' ')} | {c.judge + 1} | {c.difference.value:+.3f} "
        f"[{c.difference.low:+.3f}, {c.difference.high:+.3f}] | {c.subjects} | {c.verdict} |"
        for c in comparisons
    ]
    header = "| row | against | figure | judge | better by (95%) | subjects | |\n|---|---|---|---|---|---|---|"
    return "\n".join([header, *lines])


def _pairs(trainings: Sequence[Training], row: str, reference: str) -> dict[str, list[tuple[Training, Training]]]:
    """{subject: its pairs of one base and seed}; of the base, which has no seed, the same for every seed."""
    theirs = {(one.base, one.subject, one.seed): one for one in trainings if one.row == reference}
    pairs: dict[str, list[tuple[Training, Training]]] = defaultdict(list)
    for one in trainings:
        other = theirs.get((one.base, one.subject, one.seed if reference != "base" else 0))
        if one.row == row and other is not None:
            pairs[one.subject].append((one, other))
    return dict(pairs)

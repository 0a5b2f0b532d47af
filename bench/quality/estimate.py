"""Means with bootstrap intervals, and paired differences between two rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 4000


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95% interval (percentile bootstrap)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_of(values: Sequence[float]) -> Estimate:
    """The mean of a sample. Raises ValueError for an empty one."""
    sample = np.asarray(values, dtype=np.float64)
    if not sample.size:
        raise ValueError("no values to take a mean of")
    mean = float(sample.mean())
    if np.ptp(sample) == 0:
        # scipy calls the interval of a constant undefined; it is that constant.
        return Estimate(mean, mean, mean)
    found = stats.bootstrap(
        (sample,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=0
    )
    return Estimate(mean, float(found.confidence_interval.low), float(found.confidence_interval.high))


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Mean of first - second over pairs: the same subject, prompt and seed, resampled together.

    Raises ValueError if they do not pair up.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values do not pair with {len(second)}")
    return mean_of(np.asarray(first) - np.asarray(second))


def pair_pseudo_values(means: Sequence[float]) -> list[float]:
    """For a mean over pairs: from each item's mean over its pairs, values whose spread is that of the whole mean.

    Items share pairs, so their means vary half as much as independent ones would; these are the jackknife's
    pseudo-values of a U-statistic of degree 2, with the same mean. Two items or fewer are given back as they are.
    """
    count = len(means)
    if count < 3:
        return list(means)
    mean = sum(means) / count
    return [(2 * (count - 1) * value - count * mean) / (count - 2) for value in means]

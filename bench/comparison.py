"""What was measured, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .contenders import OURS
from .measured_process import Measurement

HEADER = (
    "| method | precision | rival | ours, steps/s | rival, steps/s | ours / rival (min..max) "
    "| ours, peak memory | rival, peak memory |\n|---|---|---|---|---|---|---|---|"
)

Round = dict[str, Measurement]
"""One measurement of every contender, by name, taken one right after the other."""


@dataclass(frozen=True)
class Comparison:
    """Ours beside one rival, over all rounds. Speeds in steps per second, memory in bytes."""

    method: str
    precision: str
    rival: str
    ours: float
    theirs: float
    ratio: float
    lowest_ratio: float
    highest_ratio: float
    our_peak_memory: int
    their_peak_memory: int


def compare(method: str, precision: str, rounds: Sequence[Round]) -> list[Comparison]:
    """One comparison for each rival. The ratio is the median of the rounds' own: a neighbour's load strikes both."""
    return [_compare(method, precision, rival, rounds) for rival in rounds[0] if rival != OURS]


def _compare(method: str, precision: str, rival: str, rounds: Sequence[Round]) -> Comparison:
    ours, theirs = [r[OURS] for r in rounds], [r[rival] for r in rounds]
    ratios = [a.steps_per_second / b.steps_per_second for a, b in zip(ours, theirs, strict=True)]
    return Comparison(
        method=method,
        precision=precision,
        rival=rival,
        ours=median(m.steps_per_second for m in ours),
        theirs=median(m.steps_per_second for m in theirs),
        ratio=median(ratios),
        lowest_ratio=min(ratios),
        highest_ratio=max(ratios),
        our_peak_memory=max(m.peak_memory for m in ours),
        their_peak_memory=max(m.peak_memory for m in theirs),
    )


def table(comparisons: Sequence[Comparison]) -> str:
    """The comparisons in Markdown; memory in MiB."""
    return "\n".join([HEADER, *map(_line, comparisons)])


def record(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """Every single measurement, ready for JSON, in the order of the rounds."""
    return [{name: asdict(measurement) for name, measurement in one.items()} for one in rounds]


def _line(c: Comparison) -> str:
    cells = (
        c.method,
        c.precision,
        c.rival,
        f"{c.ours:.2f}",
        f"{c.theirs:.2f}",
        f"{c.ratio:.2f} ({c.lowest_ratio:.2f}..{c.highest_ratio:.2f})",
        f"{c.our_peak_memory / 2**20:.0f} MiB",
        f"{c.their_peak_memory / 2**20:.0f} MiB",
    )
    return f"| {' | '.join(cells)} |"

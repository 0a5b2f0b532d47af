"""What the paper's claims become in the measured rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .estimate import Estimate
from .lines import Line, difference, likeness_at, way_to_real


@dataclass(frozen=True)
class Finding:
    """A claim, the measured difference, and whether it holds: "yes", "no", or "undecided" by these pictures."""

    claim: str
    measured: str
    holds: str


def findings(lines: dict[str, Line], real: float, margin: float) -> list[Finding]:
    """Every claim whose rows were measured. real: the photos' likeness; margin: of prompt following."""
    found: list[Finding] = []
    for name in ("LoRA", "full"):
        if name in lines:
            found += _learning(lines, name, real, margin)
        if name in lines and f"{name}, no priors" in lines:
            found += _priors(lines, name)
    for claim, first, second in ORDER:
        if first in lines and second in lines:
            found.append(_claim(claim, difference(lines, first, second, "likeness"), above(0.0)))
    for name in lines:
        _, _, same_work = name.partition(": ")
        if same_work in lines and "base" in lines:
            found.append(_against(lines, name, same_work))
    return found


ORDER = (
    ("likeness: right noun above a wrong one", "LoRA, no priors", "LoRA, no priors, wrong noun"),
    ("likeness: a wrong noun above none", "LoRA, no priors, wrong noun", "LoRA, no priors, no noun"),
    ('likeness: rare token above "sks"', "LoRA", 'LoRA, "sks"'),
    ("likeness: rare token above a common adjective", "LoRA", 'LoRA, "golden"'),
    ("likeness: rare token above random letters", "LoRA", 'LoRA, "xxy5syt00"'),
    ("likeness: 5 photos above 1", "LoRA", "LoRA, 1 photo"),
)


def _learning(lines: dict[str, Line], name: str, real: float, margin: float) -> list[Finding]:
    way = way_to_real(lines, name, real)
    prompt_following = difference(lines, name, "base", "prompt_following")
    return [
        Finding(f"{name}: likeness closes at least 60% of the way to the real photos", f"{way:.0%}", _yes(way >= 0.6)),
        _claim(f"{name}: prompt following at most {margin:g} below the base's", prompt_following, above(-margin)),
    ]


def _priors(lines: dict[str, Line], name: str) -> list[Finding]:
    without = f"{name}, no priors"
    return [
        _claim(f"{name}: priors lower PRES", difference(lines, name, without, "pres"), below(0.0)),
        _claim(f"{name}: priors keep DIV at the base's", difference(lines, name, "base", "div"), reaches_zero),
        _claim(
            f"{name}: priors keep class accuracy at the base's",
            difference(lines, name, "base", "class_accuracy"),
            reaches_zero,
        ),
        _claim(
            f"{name}: priors cost less than 0.03 of likeness",
            difference(lines, name, without, "likeness"),
            above(-0.03),
        ),
    ]


Verdict = Callable[[Estimate], str]


def above(limit: float) -> Verdict:
    """Whether a difference lies above `limit`, if its interval decides."""
    return lambda e: "yes" if e.low > limit else "no" if e.high < limit else "undecided"


def below(limit: float) -> Verdict:
    """Whether a difference lies below `limit`, if its interval decides."""
    return lambda e: "yes" if e.high < limit else "no" if e.low > limit else "undecided"


def reaches_zero(e: Estimate) -> str:
    """Whether the interval does not lie below zero as a whole."""
    return _yes(e.high >= 0)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _claim(claim: str, measured: Estimate, holds: Verdict) -> Finding:
    sign = f"{measured.value:+.3f} [{measured.low:+.3f}, {measured.high:+.3f}]"
    return Finding(claim, sign, holds(measured))


def _against(lines: dict[str, Line], rival: str, ours: str) -> Finding:
    """Likeness at equal prompt following: paired where the two end equal, else read off our curve at theirs."""
    seconds = lines[ours].seconds, lines[rival].seconds
    gap = difference(lines, ours, rival, "prompt_following")
    if gap.low <= 0 <= gap.high:
        claim = _claim("", difference(lines, ours, rival, "likeness"), above(0.0))
        likeness, verdict = claim.measured, claim.holds
    else:
        likeness, verdict = _on_our_curve(lines, rival, ours)
    named = f"{ours}: at equal prompt following no less likeness than {rival.split(': ')[0]}, in less time"
    text = f"{likeness}, {seconds[0]:.0f} s against {seconds[1]:.0f} s"
    return Finding(named, text, verdict if seconds[0] < seconds[1] else "no")


def _on_our_curve(lines: dict[str, Line], rival: str, ours: str) -> tuple[str, str]:
    """Our likeness at the rival's final prompt following, on our curve from the base on, against theirs."""
    _, prompt_following, theirs = lines[rival].curve()[-1]
    mine = likeness_at([*lines["base"].curve(), *lines[ours].curve()], prompt_following)
    reached = "not reached" if mine is None else f"{mine:.3f}"
    return f"{reached} against {theirs:.3f}", _yes(mine is not None and mine >= theirs)

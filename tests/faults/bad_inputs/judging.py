"""Whether an input that is wrong is refused by an error of the product's own, which names what is wrong."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

ROOT = Path(__file__).resolve().parents[3]
Act = Callable[[], Any]
Verdicts = list[tuple[str, list[str]]]
"""(what was tried, what was wrong with how it ended)."""


def refused(act: Act, says: str = "") -> list[str]:
    """Nothing, if `act` is refused and the message holds `says`; else what happened."""
    return accepted_or_refused(act, says, may_pass=False)


def accepted_or_refused(act: Act, says: str = "", may_pass: bool = True) -> list[str]:
    """The same for what may also be right after all."""
    try:
        act()
    except Exception as error:
        return _faults(error, says)
    return [] if may_pass else ["it was taken"]


def examples(strategy: SearchStrategy[Any], count: int, judge: Callable[[Any], list[str]]) -> Verdicts:
    """What hypothesis makes up, judged; the same every time."""
    verdicts: Verdicts = []

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def one(value: Any) -> None:
        verdicts.append((repr(value)[:80], judge(value)))

    one()
    return verdicts


def _faults(error: Exception, says: str) -> list[str]:
    last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    named = f"{type(error).__name__} ({last.name}): {str(error)[:120]}"
    # A library's own error, or one of a file that is no part of the product, is a traceback to its user.
    if not isinstance(error, ValueError) or isinstance(error, UnicodeError):
        return [f"it ended in {named}"]
    if ROOT not in last.parents:
        return [f"a library refused it: {named}"]
    return [] if says in str(error) else [f"the message does not say {says!r}: {named}"]

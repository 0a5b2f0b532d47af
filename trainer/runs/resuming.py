"""Whether there is a run to go on with, and where not, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .past_runs import runs
from .request import Request
from .run import Run, open_run
from .store import Store

NAMES = {
    "base": "the base model",
    "prediction": "what the base answers",
    "subject": "the photos, their captions, size or class noun",
    "priors": "the class images",
    "continue_from": "the LoRA to go on from",
}


class ResumeError(ValueError):
    """There is no such run to go on with; the message says what differs from the one that there is."""


def require_resumable(request: Request, base: str, store: Store) -> Run:
    """The unfinished or finished run of this very request. Raises ResumeError where there is none."""
    run = open_run(request.key(base), store)
    if run.state.is_file() or run.result():
        return run
    unfinished = [other for other in runs(store) if other.state.is_file() and other.record["name"] == request.name]
    if not unfinished:
        raise ResumeError(f"There is no unfinished run of {request.name!r} in {store.work}.")
    differing = "; ".join(differences(unfinished[0].record["asked"], request.asked(base)))
    raise ResumeError(f"The unfinished run of {request.name!r} was asked for otherwise: {differing}.")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What two requests, as `Request.asked` gives them, do not have in common, in words."""
    for name, value in now.items():
        if name == "settings":
            yield from differences(before[name], value)
        elif before.get(name) != value:
            yield f"{NAMES[name]} differs" if name in NAMES else f"{name} was {before.get(name)!r}, now {value!r}"

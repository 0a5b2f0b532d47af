"""Past runs on disk, their results, and the lookup of a request's finished or unfinished run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..files.safetensors import CheckpointError
from .personalized import Personalized
from .record import read_record
from .run import Run, open_run
from .store import Store

if TYPE_CHECKING:
    # A host that trains in another process may lack the libraries for training.
    from .request import Request

log = logging.getLogger(__name__)


def find_finished(request: Request, base_fingerprint: str, store: Store) -> tuple[Personalized, Run] | None:
    """The finished result of this request on the base with this fingerprint, and its run; None if it is not on disk.

    Removes a state that is left because a process died before it could remove it.
    """
    run = open_run(request.key(base_fingerprint), store)
    found = run.result()
    if found is None:
        return None
    if run.state.is_file():
        run.state.unlink(missing_ok=True)
    return found, run


def runs(store: Store) -> Iterator[Run]:
    """All runs, newest first; a record that cannot be read is logged and skipped."""
    records = [path for path in (store.work / "runs").glob("*/run.json") if path.is_file()]
    for path in sorted(records, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            record = read_record(path)
        except CheckpointError as error:
            log.warning("%s", error)
        else:
            yield Run(record["key"], store, record)


def results(store: Store) -> list[tuple[Run, Personalized]]:
    """All usable results with their runs, finished or stopped, newest first; files that cannot be read are logged and
    skipped.
    """
    found = []
    for run in runs(store):
        try:
            if (result := run.file()) is not None:
                found.append((run, result))
        except CheckpointError as error:
            log.warning("%s", error)
    return found


NAMES = {
    "base": "the base model",
    "prediction": "what the base answers",
    "subject": "the photos, their captions, size or class noun",
    "priors": "the class images",
    "continue_from": "the LoRA to go on from",
    "drawn_with": "the model that draws",
}
"""{field of `Request.asked`: its description}."""


class ResumeError(ValueError):
    """There is no run of this request to resume; the message says what differs from an unfinished one of
    the same name.
    """


def require_resumable(request: Request, base_fingerprint: str, store: Store) -> Run:
    """The unfinished or finished run of this request. Raises ResumeError where there is none."""
    run = open_run(request.key(base_fingerprint), store)
    if run.state.is_file() or run.result():
        return run
    unfinished = [other for other in runs(store) if other.state.is_file() and other.record["name"] == request.name]
    if not unfinished:
        raise ResumeError(f"There is no unfinished run of {request.name!r} in {store.work}.")
    differing = "; ".join(differences(unfinished[0].record["asked"], request.asked(base_fingerprint)))
    raise ResumeError(f"The unfinished run of {request.name!r} has other settings: {differing}.")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """The differences between two requests, as `Request.asked` returns them, in words."""
    for name, value in now.items():
        if name == "settings":
            yield from differences(before[name], value)
        elif before.get(name) != value:
            yield f"{NAMES[name]} differs" if name in NAMES else f"{name} was {before.get(name)!r}, now {value!r}"

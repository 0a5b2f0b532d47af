"""What was trained before: the runs on disk, and the result of the same request."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .checkpoint import CheckpointError
from .personalized import Personalized
from .run import Run, open_run, read_record
from .store import Store

if TYPE_CHECKING:
    # A host that trains in another process may lack what it takes to train.
    from .request import Request

log = logging.getLogger(__name__)


def find_finished(request: Request, base: str, store: Store) -> tuple[Personalized, Run] | None:
    """The finished result of the same run on the base with this fingerprint, if it is on disk."""
    run = open_run(request.key(base), store)
    found = run.result()
    return None if found is None else (found, run)


def runs(store: Store) -> Iterator[Run]:
    """Every run, newest first; a record that cannot be read is logged and passed over."""
    records = sorted((store.work / "runs").glob("*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in records:
        try:
            record = read_record(path)
        except CheckpointError as error:
            log.warning("%s", error)
        else:
            yield Run(record["key"], store, record)


def results(store: Store) -> list[tuple[Run, Personalized]]:
    """Every usable result, finished or stopped, newest first; what cannot be read is logged and passed over."""
    found = []
    for run in runs(store):
        try:
            if (result := run.file()) is not None:
                found.append((run, result))
        except CheckpointError as error:
            log.warning("%s", error)
    return found

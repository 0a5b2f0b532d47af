"""The one training that the tab and the API speak of."""

from __future__ import annotations

import threading

from ..install import libraries_of_our_own
from .asked import Asked
from .job import Job
from .kept_jobs import last_unfinished

_lock = threading.Lock()
_newest: list[Job] = []


def newest() -> Job | None:
    """The training that runs or waits, else the last one since the WebUI was started."""
    return _newest[-1] if _newest else None


def begin(asked: Asked) -> Job:
    """Queue a training. Raises ValueError while another is not over, and LibrariesMissing; see `child.Child`."""
    return _begin(Job(asked))


def resume() -> Job:
    """Queue the last training that did not come to its end. Raises ValueError."""
    return _begin(Job(last_unfinished(), resume=True))


def stop() -> bool:
    """End the training after the step that it is at, saved. False where none runs or waits."""
    job = newest()
    if job is None or job.over:
        return False
    job.stop()
    return True


def _begin(job: Job) -> Job:
    with _lock:
        before = newest()
        if before is not None and not before.over:
            raise ValueError("a training is running or waiting: stop it, or wait for it.")
        # Before it waits in the queue and the WebUI's model makes room for it.
        libraries_of_our_own()
        job.start()
        _newest[:] = [job]
    return job

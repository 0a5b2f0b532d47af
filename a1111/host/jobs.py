"""The WebUI's queue, its progress bar and its Interrupt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from PIL import Image

from .offered import call, offered

_OWN_QUEUE = threading.Lock()
"""For a WebUI whose queue cannot be joined: two jobs of ours are never at once."""
Interrupt = Literal["", "job", "picture"]
"""For whom Interrupt was pressed."""


@contextmanager
def queued(task: str) -> Iterator[None]:
    """A job in the WebUI's queue: waits for those before it, and those behind it wait. task: a name of its own."""
    state = _state()
    call("modules.progress:add_task_to_queue", task)
    with offered("modules.call_queue:queue_lock", _OWN_QUEUE):
        state.begin(job=task)
        call("modules.progress:start_task", task)
        try:
            yield
        finally:
            call("modules.progress:finish_task", task)
            state.end()


def interrupt() -> Interrupt:
    """For whom somebody pressed the WebUI's Interrupt, or Skip, during this job; asked again, "".

    The WebUI's flag names no job, and its page shows the button to those alone whose picture is drawn or waits. So
    while pictures wait it was pressed for one of them.
    """
    state = _state()
    if not (state.interrupted or state.skipped):
        return ""
    if not offered("modules.progress:pending_tasks", ()):
        return "job"
    state.interrupted = state.skipped = False
    return "picture"


def show(text: str, done: int, total: int) -> None:
    """Progress of this job, for the WebUI's bar and API."""
    state = _state()
    # Handlers outside the queue set it back.
    state.job_count = 1
    state.sampling_step, state.sampling_steps = done, total
    state.textinfo = text


def show_picture(image: Image.Image) -> None:
    """The live preview of this job."""
    call("modules.shared:state.assign_current_image", image)


class _NoState:
    """For a WebUI that has no state: nothing is interrupted, and nobody looks."""

    interrupted = skipped = False

    def begin(self, job: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


def _state() -> Any:
    return offered("modules.shared:state") or _NoState()

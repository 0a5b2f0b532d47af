"""A click on a sample, and on the button below: its step becomes the result."""

from __future__ import annotations

from typing import Any

import gradio as gr

from . import desk
from .child import ChildFailed
from .choosing import choosable, choose, file_of
from .job import Job, step_of
from .shown import mistake_html

NOTHING_CLICKED = "Click a sample to make its step the result"
NOT_YET = "A sample's step can be made the result when the training is over"


def unchosen(job: Job | None) -> Any:
    """The button before a sample is clicked."""
    return gr.update(value=NOTHING_CLICKED if job is None or job.over else NOT_YET, interactive=False)


def select_sample(event: gr.SelectData) -> tuple[Any, Any]:
    """The step of the sample that was clicked, and what the button says of it."""
    job = desk.newest()
    if job is None or event.index >= len(job.samples):
        return 0, unchosen(job)
    step = step_of(job.samples[event.index][1])
    if not job.over:
        return step, unchosen(job)
    if job.result and step == job.result["steps"]:
        return step, gr.update(value=f"Step {step} is the result", interactive=False)
    if step in choosable(job):
        return step, gr.update(value=f"Make step {step} the result", interactive=True)
    file = file_of(job, step)
    why = f"is in your list as {file}" if file else "has no file, and cannot be made the result"
    return step, gr.update(value=f"Step {step} {why}", interactive=False)


def choose_sample(step: float) -> str:
    """Make a step the result; what was wrong, or ""."""
    try:
        choose(int(step))
    except (ValueError, OSError, ChildFailed) as error:
        return mistake_html(str(error))
    return ""

"""A click on a sample, and on the button below: its step becomes the result."""

from __future__ import annotations

from typing import Any

import gradio as gr

from . import desk
from .child import ChildFailed
from .choosing import choosable, choose
from .job import step_of
from .shown import mistake_html

NOTHING_CLICKED = "Click a sample to make its step the result"


def select_sample(event: gr.SelectData) -> tuple[Any, Any]:
    """The step of the sample that was clicked, and what the button says of it."""
    job = desk.newest()
    if job is None or event.index >= len(job.samples):
        return 0, gr.update(value=NOTHING_CLICKED, interactive=False)
    step = step_of(job.samples[event.index][1])
    if step in choosable(job):
        return step, gr.update(value=f"Make step {step} the result", interactive=True)
    why = "has no file, and cannot be made the result" if job.over else "can be chosen when the training is over"
    return step, gr.update(value=f"Step {step} {why}", interactive=False)


def choose_sample(step: float) -> str:
    """Make a step the result; what was wrong, or ""."""
    try:
        choose(int(step))
    except (ValueError, OSError, ChildFailed) as error:
        return mistake_html(str(error))
    return ""

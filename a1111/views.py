"""A training as the tab shows it while it runs: one answer after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from . import desk
from .host.page import generators_work
from .job import Job, step_of
from .kept_jobs import unfinished
from .sample_choice import unchosen
from .shown import beat_html, curve_html, parameters, status_html, subjects_html
from .subjects import subjects

SECONDS_BETWEEN_VIEWS = 1
SECONDS_BETWEEN_SIGNS = 3
"""Well below the silence that page_code.WATCH_AGAIN takes for a broken connection."""
View = tuple[Any, ...]


def views() -> Iterator[View]:
    """The training that runs or was the last, again and again until it is over.

    Every answer makes Gradio 3.41 go through the whole page, a tenth of a second of the browser's time: so what is as
    it was is not sent, and nothing where all is, but for a sign now and then that the connection is there.
    """
    job, told = desk.newest(), 0.0
    sent: dict[str, Any] = {}
    while True:
        over = job is None or job.over
        view = _view(job)
        changed = {name: view[name] for name in view if view[name] != sent.get(name)}
        if changed or over or time.monotonic() - told > SECONDS_BETWEEN_SIGNS:
            sent, told = view, time.monotonic()
            history = subjects_html(subjects()) if over else gr.update()
            yield *(changed.get(name, gr.update()) for name in view), history, beat_html(job)
        if over:
            return
        time.sleep(SECONDS_BETWEEN_VIEWS)


def _view(job: Job | None) -> dict[str, Any]:
    """{what it is: what is shown}, in the order of the tab's controls."""
    samples = [(picture, _marked(job, text)) for picture, text in job.samples] if job else []
    said, prompt = status_html(job, unfinished() if job is None else None), parameters(job)
    return {
        "status": said,
        "next": gr.update(visible=bool(settings_to_change(job))),
        "curve": curve_html(job),
        "samples": samples,
        "choose": unchosen(job),
        "prompt": gr.update(value=prompt, visible=bool(prompt)),
        "send": gr.update(visible=bool(prompt)),
    }


def settings_to_change(job: Job | None) -> dict[str, Any]:
    """{setting: value} that the explanation of a training asks for; {} where there is nothing to change."""
    changes: dict[str, Any] = {} if job is None or job.result is None else job.result.get("changes", {})
    return changes


def _marked(job: Job, text: str) -> str:
    """What stands below a sample: the result's with a star."""
    return f"★ {text}" if job.result and step_of(text) == job.result["steps"] else text


def answering(handler: Callable[[], Iterator[View]]) -> Callable[[], Any]:
    """The handler itself, or its first answer alone where the WebUI was told to have no queue."""
    return handler if generators_work() else lambda: next(handler())

"""What the tab's controls do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..command_line.option_flags import BY_PRESET
from . import desk
from . import webui_host as host
from .asked import Asked
from .choices import lists, loras, named, or_error, preset_changes, rank_of_choice
from .gradio_versions import file_path, keep_uploads, together, with_js
from .job import Job
from .looks import judge
from .option_controls import said_options
from .page_code import REACH_BY_KEYBOARD, REFRESH_LISTS, SELECT_MODEL
from .pick import pick
from .shown import curve_html, faults_html, parameters, status_html, subjects_html
from .subjects import subjects
from .uploads import keep_files

if TYPE_CHECKING:
    from .controls import Controls

SECONDS_BETWEEN_VIEWS = 0.5
View = tuple[Any, ...]


def connect(blocks: Any, controls: Controls) -> None:
    """Give every control what it does."""
    c = controls
    names, options = list(c.asked), list(c.options)
    keep_uploads(blocks, c.photos)
    for looked_at in (c.photos, c.asked["resolution"]):
        looked_at.change(_look, [c.photos, c.asked["resolution"]], [c.thumbnails, c.faults], **together())
    by_preset = [*(c.options[name] for name in BY_PRESET), c.asked["priors"]]
    base, preset, method, lora = (c.asked[name] for name in ("base", "preset", "method", "continue_from"))
    c.pick.click(
        _pick, [c.asked["class_noun"], base, c.asked["prediction"]], [c.asked["identifier"], c.report], **together()
    )
    c.refresh.click(lists, None, [base, lora], **together())
    for choice in (preset, method):
        choice.change(preset_changes, [preset, method, lora], by_preset, **together())
    lora.change(rank_of_choice, [preset, method, lora], [c.options["rank"]], **together())
    c.send.click(inputs=[c.parameters], outputs=None, **with_js(SELECT_MODEL))
    c.stop.click(_stop, None, None, **together())

    def train(files: Any, *values: Any) -> Iterator[View]:
        asked = dict(zip(names, values[: len(names)], strict=True))
        said = said_options(dict(zip(options, values[len(names) :], strict=True)))
        begun = or_error(lambda: desk.begin(_asked(files, asked, said)))
        yield from _views(begun)

    def resume() -> Iterator[View]:
        yield from _views(or_error(desk.resume))

    def newest() -> Iterator[View]:
        yield from _views(desk.newest())

    form = [c.photos, *c.asked.values(), *c.options.values()]
    for event, handler, inputs in ((c.train.click, train, form), (c.resume.click, resume, None)):
        over = event(_answering(handler), inputs, c.shown, **together())
        # Not one after the other: in 4.40 nothing follows what only the browser does.
        over.then(**with_js(REFRESH_LISTS))
        over.then(loras, None, [lora], **together())
    blocks.load(_answering(newest), None, c.shown, **together())
    blocks.load(loras, None, [lora], **together())
    blocks.load(inputs=None, outputs=None, **with_js(REACH_BY_KEYBOARD))


def _asked(files: Any, asked: dict[str, Any], options: Any) -> Asked:
    texts = {name: value.strip() for name, value in asked.items() if isinstance(value, str)}
    numbers = {"resolution": asked["resolution"] or None, "priors": asked["priors"]}
    photos = keep_files([file_path(file) for file in files or []])
    choices = {name: named(asked[name]) for name in ("base", "prediction", "continue_from")}
    return Asked(**{**texts, **numbers, **choices, "photos": photos, "options": options})


def _views(job: Job | None) -> Iterator[View]:
    """What is shown, again and again until the job is over; the pictures only when there are new ones."""
    shown = -1
    while True:
        over = job is None or job.over
        samples = job.samples if job else []
        pictures = gr.update() if len(samples) == shown else list(samples)
        shown = len(samples)
        history = subjects_html(subjects()) if over else gr.update()
        yield status_html(job), curve_html(job), pictures, parameters(job), history
        if over:
            return
        time.sleep(SECONDS_BETWEEN_VIEWS)


def _answering(handler: Callable[..., Iterator[View]]) -> Callable[..., Any]:
    """The handler itself, or its first answer alone where the WebUI was told to have no queue."""
    return handler if host.generators_work() else lambda *values: next(handler(*values))


def _look(files: Any, resolution: int | None) -> tuple[Any, str]:
    looks = or_error(lambda: judge([file_path(file) for file in files or []], resolution or 0))
    return [(one.picture, one.name) for one in looks if one.picture is not None], faults_html(looks)


def _pick(noun: str, base: str, prediction: str) -> tuple[str, Any]:
    word, report = or_error(lambda: pick(noun, named(base), named(prediction)))
    return word, gr.update(value=report, visible=True)


def _stop() -> None:
    if not desk.stop():
        raise gr.Error("No training is running or waiting.")

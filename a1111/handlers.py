"""What the tab's controls do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..command_line.option_flags import BY_PRESET
from . import desk
from .asked import Asked, require_counts
from .child import ChildFailed
from .choices import bases, lists, loras, named, preset_changes, preset_steps, rank_of_choice, starts
from .gradio_versions import REMOVE_A_FILE, file_path, js_before, keep_uploads, quietly, with_js
from .job import Job
from .kept_form import keep_form
from .looks import judge
from .option_controls import said_options
from .page_code import ALREADY_LISTED, BY_HAND, REFRESH_LISTS, SELECT_MODEL, WATCH_AGAIN, reach_by_keyboard
from .photo_report import report_html
from .pick import pick
from .sample_choice import choose_sample, select_sample
from .shown import faults_html, mistake_html, status_html
from .suggest import chip, noun_of, suggest
from .this_machine import check_report
from .uploads import keep_class_images, keep_files
from .views import answering, settings_to_change, views

if TYPE_CHECKING:
    from .controls import Controls

NOTHING_TO_SET = "Nothing that a setting mends went wrong in the newest training."
MISTAKES = (ValueError, OSError, ChildFailed)
"""What a user can change: said where it was made, never raised, for Gradio would print a traceback."""


def connect(blocks: Any, controls: Controls) -> None:
    """Give every control what it does."""
    c = controls
    zones = [(c.photos, "Choose the photos of one subject"), (c.class_images, "Choose class images of your own")]
    for zone, _ in zones:
        keep_uploads(blocks, zone)
    sized = [c.asked["resolution"], c.asked["buckets"]]
    for looked_at in (c.photos, *sized):
        looked_at.change(_look, [c.photos, *sized], [c.thumbnails, c.faults], **quietly())
    counts = [c.asked["resolution"], c.asked["priors"]]
    for counted in counts:
        counted.change(_counted, counts, [c.mistakes["counts"]], **quietly())
    base, lora = c.asked["base"], c.asked["continue_from"]
    words = [c.asked["class_noun"], base, c.asked["prediction"]]
    c.pick.click(_pick, words, [c.asked["identifier"], c.report, c.mistakes["words"]], **quietly())
    _connect_nouns(c)
    c.refresh.click(lists, None, [base, lora], **quietly())
    _connect_next(c)
    c.check.click(_check, None, [c.machine, c.mistakes["machine"]], **quietly())
    _connect_preset(c)
    _connect_preset_steps(c)
    c.send.click(inputs=[c.parameters], outputs=None, **with_js(SELECT_MODEL))
    c.stop.click(_stop, None, [c.mistakes["training"], c.status], **quietly())
    _connect_training(blocks, c)
    files = {"photos": c.photos, "own_class_images": c.class_images}
    keep_form(blocks, {**files, **c.asked, **c.options}, {"base": bases, "continue_from": starts})
    for zone, label in zones:
        blocks.load(inputs=None, outputs=None, **with_js(reach_by_keyboard(zone.elem_id, label)))


def _connect_nouns(c: Controls) -> None:
    """What the photos show is asked for, and a click on an answer fills it in."""
    asked = [c.photos, c.asked["base"], c.asked["prediction"]]
    c.suggest.click(_suggest, asked, [c.nouns, c.mistakes["noun"]], **quietly())
    c.nouns.input(noun_of, [c.nouns], [c.asked["class_noun"]], **quietly())
    # Of other photos these are no answers.
    c.photos.change(lambda: gr.update(visible=False), None, [c.nouns], **quietly())


def _connect_preset(c: Controls) -> None:
    """By hand only: a form that is filled again says itself what the preset was changed to."""
    chosen = [c.asked[name] for name in ("preset", "method", "continue_from")]
    by_hand = gr.Textbox(visible=False, elem_id="dreambooth_by_hand")
    by_hand.do_not_save_to_config = True
    by_preset = [*(c.options[name] for name in BY_PRESET), c.asked["priors"]]
    for name in ("preset", "method"):
        c.asked[name].input(preset_changes, [*chosen, by_hand], by_preset, **quietly(), **js_before(BY_HAND))
    c.asked["continue_from"].input(rank_of_choice, chosen, [c.options["rank"], c.mistakes["start"]], **quietly())


def _connect_preset_steps(c: Controls) -> None:
    """What the steps of a preset come to for the photos that are there."""
    looked_at = [c.photos, c.asked["preset"], c.asked["method"]]
    for control in looked_at:
        control.change(preset_steps, looked_at, [c.preset_steps], **quietly())


def _connect_next(c: Controls) -> None:
    """What went wrong in the newest training is set otherwise."""
    set_so = {**c.options, "priors": c.asked["priors"], "width": c.asked["resolution"]}

    def set_form() -> list[Any]:
        changes = settings_to_change(desk.newest())
        if not changes:
            return [mistake_html(NOTHING_TO_SET), *[gr.update()] * len(set_so)]
        return ["", *(gr.update(value=changes[name]) if name in changes else gr.update() for name in set_so)]

    c.next.click(set_form, None, [c.mistakes["training"], *set_so.values()], **quietly())


def _connect_training(blocks: Any, c: Controls) -> None:
    """Beginning and watching are two events each: Gradio 4.40 drops a click while its last one is still answered, 3.41
    keeps it until then, and would begin a training when this one is over."""
    names, options = list(c.asked), list(c.options)

    def train(files: Any, class_images: Any, *values: Any) -> str:
        asked = dict(zip(names, values[: len(names)], strict=True))
        said = said_options(dict(zip(options, values[len(names) :], strict=True)))
        return _mistake_in(lambda: desk.begin(_asked(files, class_images, asked, said)))

    def resume() -> str:
        return _mistake_in(desk.resume)

    form, lora = [c.photos, c.class_images, *c.asked.values(), *c.options.values()], c.asked["continue_from"]
    watch = answering(views)
    c.samples.select(select_sample, None, [c.step, c.choose], **quietly())
    begun = [
        event(handler, inputs, [c.mistakes["training"]], **quietly()).then
        for event, handler, inputs in (
            (c.train.click, train, form),
            (c.resume.click, resume, None),
            (c.choose.click, choose_sample, [c.step]),
        )
    ]
    # The page presses this one itself, see WATCH_AGAIN.
    for look in (*begun, c.watch.click):
        over = look(watch, None, c.shown, **quietly())
        # Not one after the other: in 4.40 nothing follows what only the browser does.
        over.then(inputs=[c.parameters], outputs=None, **with_js(REFRESH_LISTS))
        over.then(loras, None, [lora], **quietly())
    loaded = blocks.load(watch, None, c.shown, **quietly())
    loaded.then(inputs=[c.parameters], outputs=None, **with_js(ALREADY_LISTED))
    blocks.load(inputs=None, outputs=None, **with_js(WATCH_AGAIN))


def _asked(files: Any, class_images: Any, asked: dict[str, Any], options: Any) -> Asked:
    texts = {name: value.strip() for name, value in asked.items() if isinstance(value, str)}
    numbers = {"resolution": asked["resolution"] or None, "priors": asked["priors"]}
    numbers |= {"buckets": bool(asked["buckets"]), "close_ups": asked["close_ups"] or 0}
    photos = keep_files([file_path(file) for file in files or []])
    own = keep_class_images([file_path(file) for file in class_images or []])
    choices = {name: named(asked[name]) for name in ("base", "prediction", "continue_from")}
    return Asked(**{**texts, **numbers, **choices, "photos": photos, "class_images": own, "options": options})


def _mistake_in(begin: Callable[[], Job]) -> str:
    """Begin a training; what was wrong, or ""."""
    try:
        begin()
    except MISTAKES as error:
        return mistake_html(str(error))
    return ""


def _look(files: Any, resolution: int | None, buckets: bool) -> tuple[Any, str]:
    side = 0 if _counted(resolution, None) else resolution or 0
    try:
        looks = judge([file_path(file) for file in files or []], side, bool(buckets))
    except MISTAKES as error:
        return gr.update(), mistake_html(str(error))
    thumbnails = [(one.picture, one.name) for one in looks if one.picture is not None]
    return thumbnails, faults_html(looks, REMOVE_A_FILE) + report_html(looks)


def _counted(resolution: int | None, priors: int | None) -> str:
    try:
        require_counts(resolution, priors)
    except ValueError as error:
        return mistake_html(str(error))
    return ""


def _pick(noun: str, base: str, prediction: str) -> tuple[Any, Any, str]:
    try:
        word, report = pick(noun, named(base), named(prediction))
    except MISTAKES as error:
        return gr.update(), gr.update(), mistake_html(str(error))
    return word, gr.update(value=report, visible=True), ""


def _suggest(files: Any, base: str, prediction: str) -> tuple[Any, str]:
    try:
        found = suggest([file_path(file) for file in files or []], named(base), named(prediction))
    except MISTAKES as error:
        return gr.update(visible=False), mistake_html(str(error))
    return gr.update(choices=[chip(**one) for one in found], value=None, visible=True), ""


def _check() -> tuple[Any, str]:
    try:
        return check_report(), ""
    except MISTAKES as error:
        return gr.update(), mistake_html(str(error))


def _stop() -> tuple[str, Any]:
    if desk.stop():
        return "", status_html(desk.newest())
    return mistake_html("No training is running or waiting."), gr.update()

"""The DreamBooth tab: what is on the screen, in its order. What happens is in `handlers`."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..trainer.options import CHOICES, TEXTS
from ..trainer.presets import DEFAULT, PRESETS
from .choices import AS_THE_FILE, CURRENT, NEW_LORA, bases, predictions, starts
from .controls import Controls
from .handlers import connect
from .host.offered import lacking
from .host.page import bind_to_txt2img, make_picture_folder
from .option_controls import CHECK, FIELDS, option_controls, prompt_controls
from .sample_choice import NOTHING_CLICKED
from .shown import lacking_html, lost_html, status_html, subjects_html
from .subjects import subjects

THIRD = 120
"""Pixels below which a field does not stand beside two others."""


def build() -> list[tuple[Any, str, str]]:
    """The tab, as the WebUI asks for it: (blocks, title, id)."""
    make_picture_folder()
    with gr.Blocks(analytics_enabled=False) as blocks:
        with gr.Row():
            with gr.Column(scale=1):
                controls = _subject()
            with gr.Column(scale=1):
                _training(controls)
        connect(blocks, controls)
    return [(blocks, "DreamBooth", "dreambooth")]


def _subject() -> Controls:
    photos = gr.File(
        label="Photos of one subject, 3 to 5 (drop them here)", file_count="multiple", elem_id="dreambooth_photos"
    )
    thumbnails = gr.Gallery(
        label="As they will be trained on", columns=5, height=180, object_fit="contain", elem_id="dreambooth_thumbnails"
    )
    faults = gr.HTML(elem_id="dreambooth_faults")
    with gr.Row(elem_classes=FIELDS):
        asked = {"class_noun": _text("Class noun", "class_noun", "what the subject is: dog, backpack, face …")}
        suggest = gr.Button("Suggest a noun", size="sm", scale=0, elem_id="dreambooth_suggest")
    mistakes = {"noun": _mistake("noun")}
    nouns = gr.Radio(
        [], label="What the photos show, by the base's own answer", visible=False, elem_id="dreambooth_nouns"
    )
    with gr.Row(elem_classes=FIELDS):
        asked["identifier"] = _text("Identifier [V]", "identifier", "empty: picked for you")
        pick = gr.Button("Pick a rare word", size="sm", scale=0, elem_id="dreambooth_pick")
    mistakes["words"] = _mistake("words")
    report = gr.Textbox(
        label="How the words compare", lines=6, max_lines=24, visible=False, elem_id="dreambooth_report"
    )
    with gr.Row(elem_classes=FIELDS):
        asked["base"] = gr.Dropdown(bases(), value=CURRENT, label="Base", elem_id="dreambooth_base")
        refresh = gr.Button("Refresh lists", size="sm", scale=0, elem_id="dreambooth_refresh")
    asked["continue_from"] = gr.Dropdown(
        starts(), value=NEW_LORA, label="Go on from", elem_id="dreambooth_continue_from",
        info="A LoRA of any trainer, for the same base; it keeps its rank and alpha.",
    )  # fmt: skip
    mistakes["start"] = _mistake("start")
    asked |= _method()
    preset_steps = gr.HTML(elem_id="dreambooth_preset_steps")
    asked |= _numbers()
    mistakes["counts"] = _mistake("counts")
    with gr.Accordion("Class images of your own", open=False, elem_id="dreambooth_own_class_images"):
        class_images = gr.File(
            label="Pictures of the class, beside those that are drawn; with 0 class images above, instead of them",
            file_count="multiple", elem_id="dreambooth_class_images",
        )  # fmt: skip
    with gr.Accordion("Advanced", open=False, elem_id="dreambooth_advanced"):
        asked["prediction"] = gr.Radio(
            predictions(), value=AS_THE_FILE, label="Prediction type", elem_id="dreambooth_prediction",
            info="What the base predicts. Choose v_prediction for a v model whose file does not say so.",
        )  # fmt: skip
        asked |= prompt_controls()
        options = option_controls()
    shown = (thumbnails, faults, pick, report, refresh, preset_steps)
    return Controls(photos, class_images, *shown, mistakes, asked, options, suggest, nouns)


def _method() -> dict[str, Any]:
    return {
        "method": gr.Radio(
            list(CHOICES["method"]), value="lora", label="Method", info=TEXTS["method"], elem_id="dreambooth_method"
        ),
        "preset": gr.Radio(
            list(PRESETS), value=DEFAULT, label="Preset", elem_id="dreambooth_preset",
            info="By time, or by kind of subject: steps follow the number of photos then.",
        ),
    }  # fmt: skip


def _numbers() -> dict[str, Any]:
    with gr.Row(elem_classes=FIELDS):
        name = gr.Textbox("my_subject", label="Name of the file", max_lines=1, elem_id="dreambooth_name")
        priors = gr.Number(PRESETS[DEFAULT].priors, label="Class images", info="0: none.", precision=0,
                           elem_id="dreambooth_priors")  # fmt: skip
    with gr.Row(elem_classes=FIELDS):
        resolution = gr.Number(0, label="Resolution", info="Pixels a side. 0: the base's.", precision=0,
                               min_width=THIRD, elem_id="dreambooth_resolution")  # fmt: skip
        close_ups = gr.Number(0, label="Close-ups", info="0 to 4, of each photo of at least twice the resolution.",
                              precision=0, min_width=THIRD, elem_id="dreambooth_close_ups")  # fmt: skip
        buckets = gr.Checkbox(False, label="Keep shapes", min_width=THIRD, elem_classes=CHECK,
                              info="Each photo in its own shape, at about as many pixels; else cropped.",
                              elem_id="dreambooth_buckets")  # fmt: skip
    numbers = {"resolution": resolution, "buckets": buckets, "close_ups": close_ups, "priors": priors}
    return {"name": name, **numbers}


def _training(controls: Controls) -> None:
    if lacks := lacking():
        gr.HTML(lacking_html(lacks), elem_id="dreambooth_lacking")
    with gr.Row():
        controls.train = gr.Button("Train", variant="primary", elem_id="dreambooth_train")
        controls.stop = gr.Button("Stop and keep", elem_id="dreambooth_stop")
        controls.resume = gr.Button("Resume the last", elem_id="dreambooth_resume")
    controls.mistakes["training"] = _mistake("training")
    gr.HTML(lost_html(), elem_id="dreambooth_lost")
    controls.status = gr.HTML(status_html(None), elem_id="dreambooth_status")
    controls.beat = gr.HTML(elem_id="dreambooth_beat")
    controls.watch = gr.Button("Look again", visible=False, elem_id="dreambooth_watch")
    controls.next = gr.Button("Set the form for a next training", size="sm", visible=False, elem_id="dreambooth_next")
    controls.curve = gr.HTML(elem_id="dreambooth_curve")
    _result(controls)
    with gr.Accordion("Trained before", open=False, elem_id="dreambooth_subjects"):
        controls.history = gr.HTML(subjects_html(subjects()), elem_id="dreambooth_history")
    _machine(controls)
    seen = (controls.status, controls.next, controls.curve, controls.samples, controls.choose)
    controls.shown = [*seen, controls.parameters, controls.send, controls.history, controls.beat]


def _result(controls: Controls) -> None:
    """Samples, and what is done with the result; shown when there is one."""
    controls.samples = gr.Gallery(
        label="Samples", columns=4, height=260, object_fit="contain", elem_id="dreambooth_samples"
    )
    controls.step = gr.Number(0, visible=False, precision=0, elem_id="dreambooth_step")
    # The WebUI's own file of defaults is of what is on the page.
    controls.step.do_not_save_to_config = True
    controls.choose = gr.Button(NOTHING_CLICKED, size="sm", interactive=False, elem_id="dreambooth_choose")
    controls.parameters = gr.Textbox(
        label="Prompt of the result", lines=3, interactive=False, visible=False, elem_id="dreambooth_parameters"
    )
    controls.send = gr.Button("Send to txt2img", visible=False, elem_id="dreambooth_send")
    bind_to_txt2img(controls.send, controls.parameters)


def _machine(controls: Controls) -> None:
    with gr.Accordion("This machine", open=False, elem_id="dreambooth_machine"):
        controls.check = gr.Button("Check this machine (5 minutes at most)", elem_id="dreambooth_check")
        controls.mistakes["machine"] = _mistake("machine")
        controls.machine = gr.Textbox(
            label="Report, to paste where you ask for help", lines=8, max_lines=40, elem_id="dreambooth_machine_report"
        )


def _mistake(where: str) -> Any:
    return gr.HTML(elem_id=f"dreambooth_mistake_{where}")


def _text(label: str, name: str, placeholder: str) -> Any:
    return gr.Textbox(label=label, placeholder=placeholder, max_lines=1, elem_id=f"dreambooth_{name}")

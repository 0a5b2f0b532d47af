"""The advanced settings: a control for each field of `TrainOptions`, with the field's own text, in sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from ..command_line.option_flags import BY_PRESET, said_default
from ..trainer.options import CHOICES, KINDS, SETTINGS, TEXTS
from ..trainer.options.setting import GROUPS
from ..trainer.presets import DEFAULT, preset_named
from ..trainer.prompts import PromptTemplates
from .option_labels import label, labelled

SHOWN_ELSEWHERE = {"method"}
OFTEN = ("steps", "learning_rate", "rank", "prior_weight", "seed", "train_text_encoder")
"""What stands open when the advanced settings are opened; all else is folded by group."""
SECTIONS: dict[str, tuple[str, str]] = {
    "training": ("Batches and loss", "How many photos a step sees, and how noise levels are weighted."),
    "photos": ("Photos and captions", "How the photos and their captions are shown. Captions stand beside the photos."),
    "adapter": ("LoRA", "Which layers get one, and its scale. The rank is above."),
    "word": (
        "Learned word",
        "Of textual_inversion, or of a word beside weights: its vectors, what they learn from.",
    ),
    "optimizer": ("Optimizer", "How a step is taken, and how the learning rate runs over the training."),
    "memory": ("Memory", "Left at auto, the training is made to fit what is free. Set these to decide yourself."),
    "scores": (
        "Scores and the best step",
        "Pictures on the way are compared with the photos, and the best step becomes the result. The toy base "
        "brings what looks at them; for other bases use the command line's --dino and --clip.",
    ),
    "preview": ("Samples and saved files", "Pictures and files on the way. The trained weights do not depend on them."),
}
"""{group of settings: its title and what it is for}."""
COLUMNS = 2
FIELDS = ["dreambooth-fields"]
"""The class of a row of fields, in style.css."""
CHECK = ["dreambooth-check"]
"""The class of a box to tick there."""


def prompt_controls() -> dict[str, Any]:
    """The two templates, {name: component}."""
    templates = PromptTemplates()
    return {
        "instance_prompt": gr.Textbox(
            templates.instance, label="Instance prompt", elem_id="dreambooth_instance_prompt"
        ),
        "class_prompt": gr.Textbox(templates.class_, label="Class prompt", elem_id="dreambooth_class_prompt"),
    }


def option_controls() -> dict[str, Any]:
    """{field: component}: those that are changed often, then the others, folded by group."""
    made = _rows(OFTEN)
    for group in GROUPS:
        title, what_for = SECTIONS[group]
        with gr.Accordion(title, open=False, elem_id=f"dreambooth_section_{group}"):
            gr.Markdown(what_for)
            made |= _rows(rarely(group))
    return made


def rarely(group: str) -> list[str]:
    """The fields of a group that are not changed often."""
    return [name for name, one in SETTINGS.items() if one.group == group and name not in {*OFTEN, *SHOWN_ELSEWHERE}]


def preset_values(preset: str, method: str) -> dict[str, Any]:
    """{field: what the preset makes of it}, the number of class images among them as "priors". steps: 0 where they
    follow the number of photos.
    """
    chosen = preset_named(preset)
    steps = {"steps": 0} if chosen.by_photos else {}
    return {**chosen.options(method), **steps, "priors": chosen.priors}  # type: ignore[arg-type]


def said_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the controls say. A number without a default is unset at 0, as Gradio 4 shows no empty one; steps are the
    preset's then.
    """
    unset = {name for name in values if said_default(name) is None and (name not in BY_PRESET or name == "steps")}
    return {name: value for name, value in values.items() if value is not None and not (name in unset and not value)}


def _rows(names: Sequence[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for start in range(0, len(names), COLUMNS):
        with gr.Row(elem_classes=FIELDS):
            made |= {name: _control(name) for name in names[start : start + COLUMNS]}
    return made


def _control(name: str) -> Any:
    kind, default = KINDS[name], said_default(name)
    unset = " 0 leaves it unset." if default is None and kind in (int, float) and name not in BY_PRESET else ""
    common = {"label": label(name), "info": labelled(TEXTS[name]) + unset, "elem_id": f"dreambooth_{name}"}
    if name in CHOICES:
        return gr.Dropdown(list(CHOICES[name]), value=default, **common)
    if kind is bool:
        return gr.Checkbox(default, elem_classes=CHECK, **common)
    if kind is str:
        return gr.Textbox(default, max_lines=1, **common)
    value = preset_values(DEFAULT, "lora")[name] if name in BY_PRESET else default or 0
    return gr.Number(value, precision=0 if kind is int else None, **common)

"""The form as it was before the page was loaded anew: the browser keeps it, and what comes back is looked at."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from .gradio_versions import js_before, quietly, upload_folder, with_js
from .page_code import FORM_IS_THERE, READ_FORM, remember

Choices = Callable[[], list[str]]
LONGEST = 2_000
"""Characters of a text that is taken back."""


def keep_form(blocks: Any, kept: Mapping[str, Any], lists: Mapping[str, Choices]) -> None:
    """Have the browser keep every control, and fill them when the page is loaded. Call within `blocks`.

    kept: {field: control}. lists: {field: what its dropdown offers now}, of those whose choices change.
    """
    for name, control in kept.items():
        control.change(inputs=[control], outputs=None, **with_js(remember(name)))
    form = gr.Textbox(visible=False, elem_id="dreambooth_form")
    # The WebUI's own file of defaults is of what is on the page.
    form.do_not_save_to_config = True
    fill = _filler(kept, lists)
    filled = blocks.load(fill, [form], list(kept.values()), **quietly(), **js_before(READ_FORM))
    filled.then(inputs=None, outputs=None, **with_js(FORM_IS_THERE))


def _filler(kept: Mapping[str, Any], lists: Mapping[str, Choices]) -> Callable[[str], list[Any]]:
    def fill(form: str) -> list[Any]:
        try:
            values = json.loads(form or "{}")
        except ValueError:
            values = {}
        values = values if isinstance(values, dict) else {}
        return [
            _choice(lists[name](), values.get(name)) if name in lists else _value(control, values.get(name))
            for name, control in kept.items()
        ]

    return fill


def _choice(choices: list[str], value: Any) -> Any:
    return gr.update(choices=choices, **({"value": value} if value in choices else {}))


def _value(control: Any, value: Any) -> Any:
    """The value, or no change where it is none that this control can have."""
    if isinstance(control, gr.File):
        files = [Path(path) for path in value if isinstance(path, str)] if isinstance(value, list) else []
        there = [str(file) for file in files if _is_upload(file, upload_folder(control))]
        return there or gr.update()
    if isinstance(control, gr.Radio | gr.Dropdown):
        fits = value in [choice[1] if isinstance(choice, tuple) else choice for choice in control.choices]
    elif isinstance(control, gr.Checkbox):
        fits = isinstance(value, bool)
    elif isinstance(control, gr.Number):
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    else:
        fits = isinstance(value, str) and len(value) <= LONGEST
    return value if fits else gr.update()


def _is_upload(file: Path, uploads: Path) -> bool:
    """Whether it is still there, and was uploaded: a request can name any path, and what is shown can be fetched."""
    return file.resolve().is_relative_to(uploads.resolve()) and file.is_file()

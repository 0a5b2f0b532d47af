"""What the tab's lists offer, and what choosing changes in other controls."""

from __future__ import annotations

from html import escape
from typing import Any, get_args

import gradio as gr

from ..command_line.option_flags import BY_PRESET, NONE
from ..trainer.methods.start import kept_settings
from ..trainer.model.noise_process import Prediction
from ..trainer.presets import preset_named
from .asked import lora_file
from .gradio_versions import file_path
from .host import models
from .looks import photo_count
from .option_controls import preset_values
from .shown import mistake_html

AS_THE_FILE = "as its file shows"
CURRENT = "(the WebUI's current checkpoint)"
NEW_LORA = "(nothing: a new LoRA)"


def named(choice: str) -> str:
    """What is chosen, as `Asked` names it: "" for what each list begins with."""
    return "" if choice in (CURRENT, NEW_LORA, AS_THE_FILE) else choice


def bases() -> list[str]:
    """What can be trained."""
    return [CURRENT, *models.checkpoints()]


def predictions() -> list[str]:
    """What a base may answer."""
    return [AS_THE_FILE, *get_args(Prediction)]


def starts() -> list[str]:
    """What can be gone on from."""
    return [NEW_LORA, *models.loras()]


def lists() -> tuple[Any, Any]:
    """Both lists anew, after the WebUI has looked into its folders."""
    models.refresh_lists()
    return gr.update(choices=bases()), loras()


def loras() -> Any:
    """The list of LoRAs anew."""
    return gr.update(choices=starts())


def preset_changes(preset: str, method: str, continue_from: str, by_hand: str) -> list[Any]:
    """Values for the controls BY_PRESET and the number of class images; rank as `rank_of_choice` has it.

    by_hand: "" where a form that was filled again chose, which says these numbers itself.
    """
    if not by_hand:
        return [gr.update() for _ in (*BY_PRESET, "priors")]
    values = preset_values(preset, method)
    values["rank"], _ = rank_of_choice(preset, method, continue_from)
    return [values[name] for name in (*BY_PRESET, "priors")]


def preset_steps(files: Any, preset: str, method: str) -> str:
    """What the steps of a preset come to for the photos that are there."""
    return _preset_steps_html(preset, method, photo_count([file_path(file) for file in files or []]))


def _preset_steps_html(preset: str, method: str, photos: int) -> str:
    """What the steps of a preset come to that follow the number of photos; "" for another."""
    chosen = preset_named(preset)
    if chosen.by_photos is None:
        return ""
    each = f"{chosen.by_photos.each} a photo, {chosen.by_photos.least} to {chosen.by_photos.most}"
    said = f"{chosen.steps(method, photos)} steps for {photos} photos" if photos else "steps follow the photos"  # type: ignore[arg-type]
    half = ", half of it for full" if method == "full" else ""
    return f'<p role="status">{escape(preset.capitalize())}: {said} ({each}{half}). Steps at 0 leave it so.</p>'


def rank_of_choice(preset: str, method: str, continue_from: str) -> tuple[Any, str]:
    """The rank of the LoRA to go on from, which cannot be another, else the preset's; and what is wrong with it."""
    values, lora = preset_values(preset, method), named(continue_from)
    try:
        kept = kept_settings(lora_file(lora)) if lora else NONE
    except (ValueError, OSError) as error:
        return values["rank"], mistake_html(str(error))
    return {**values, **kept}["rank"], ""

"""What the tab's lists offer, and what choosing changes in other controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import gradio as gr

from ..command_line.option_flags import BY_PRESET, NONE
from ..trainer.methods.lora.start import kept_settings
from ..trainer.model.noise_process import Prediction
from . import webui_host as host
from .asked import lora_file
from .child import ChildFailed
from .option_controls import preset_values

AS_THE_FILE = "as its file shows"
CURRENT = "(the WebUI's current checkpoint)"
NEW_LORA = "(nothing: a new LoRA)"


def named(choice: str) -> str:
    """What is chosen, as `Asked` names it: "" for what each list begins with."""
    return "" if choice in (CURRENT, NEW_LORA, AS_THE_FILE) else choice


def bases() -> list[str]:
    """What can be trained."""
    return [CURRENT, *host.checkpoints()]


def predictions() -> list[str]:
    """What a base may answer."""
    return [AS_THE_FILE, *get_args(Prediction)]


def starts() -> list[str]:
    """What can be gone on from."""
    return [NEW_LORA, *host.loras()]


def lists() -> tuple[Any, Any]:
    """Both lists anew, after the WebUI has looked into its folders."""
    host.refresh_lists()
    return gr.update(choices=bases()), loras()


def loras() -> Any:
    """The list of LoRAs anew."""
    return gr.update(choices=starts())


def preset_changes(preset: str, method: str, continue_from: str) -> list[Any]:
    """Values for the controls BY_PRESET, and the number of class images."""
    lora = named(continue_from)
    kept = or_error(lambda: kept_settings(lora_file(lora))) if lora else NONE
    values = preset_values(preset, method, kept)
    return [values[name] for name in (*BY_PRESET, "priors")]


def rank_of_choice(preset: str, method: str, continue_from: str) -> Any:
    """That of the LoRA to go on from, which cannot be another; else the preset's."""
    return preset_changes(preset, method, continue_from)[BY_PRESET.index("rank")]


def or_error(do: Callable[[], Any]) -> Any:
    """What `do` returns; what a user has to change is said as the WebUI says it."""
    try:
        return do()
    except (ValueError, OSError, ChildFailed) as error:
        raise gr.Error(str(error)) from error

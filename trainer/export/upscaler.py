"""An upscaler with what it was taught of a subject."""

from __future__ import annotations

from pathlib import Path

from ..files.safetensors import read_metadata
from ..methods.adapters import read_adapter
from ..model.base import Base
from ..model.layers import layers_in
from ..runs.personalized import PREFIX
from .merge import merge_into


def personalized_upscaler(base: Base, lora: Path | None, strength: float = 1.0) -> Base:
    """The base with an adapter merged into it, in place; as it is without one. Raises CheckpointError where the adapter
    does not fit.
    """
    if lora is None:
        return base
    return merge_into(base, read_adapter(lora, layers_in(base.source)), strength)


def prompt_of(lora: Path | None) -> str:
    """The prompt that calls what an adapter was taught, "a " and its trigger; empty where its file names none."""
    trigger = "" if lora is None or lora.is_dir() else read_metadata(lora).get(f"{PREFIX}trigger", "")
    return f"a {trigger}" if trigger else ""

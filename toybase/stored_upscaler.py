"""The upscaler of the embedded base, as it is stored."""

from __future__ import annotations

from pathlib import Path

from .quantize import WEIGHTS


def is_stored(folder: Path = WEIGHTS) -> bool:
    """Whether there is a stored upscaler."""
    return (folder / "upscaler.safetensors").is_file()

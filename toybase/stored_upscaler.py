"""The upscaler of the embedded base, as it is stored."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "weights"


def is_stored(folder: Path = FOLDER) -> bool:
    """Whether there is a stored upscaler."""
    return (folder / "upscaler.safetensors").is_file()

"""A result's card in the WebUI: what it shows of a model is in a .json and a .png beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..trainer.files.atomic import write_atomically, write_json
from ..trainer.options.choices import ADAPTERS
from .looks import look


def write_card(result: dict[str, Any], picture: Image.Image | None) -> None:
    """Write both, where nothing has their name yet. result: as `train --json` says it."""
    file = Path(result["file"])
    # A picture among learned words is taken for one of them, unless its name says that it is a preview.
    ending = ".preview.png" if result["method"] == "textual_inversion" else ".png"
    about, preview = file.with_suffix(".json"), file.with_suffix(ending)
    if not about.exists():
        write_json(_about(result), about)
    if picture is not None and not preview.exists():
        write_atomically(preview, lambda part: picture.save(part, "PNG"))


def preview(samples: Sequence[Image.Image], photos: Path) -> Image.Image | None:
    """What a card shows, as the thumbnail in the file does: the last sample, before the first one a photo, cropped."""
    if samples:
        return samples[-1]
    return next((one.picture for one in look(sorted(photos.iterdir())) if one.picture is not None), None)


def _about(result: dict[str, Any]) -> dict[str, Any]:
    """The fields that the WebUI's own editors write; activation text and weight are a LoRA's."""
    about = {
        "description": f"DreamBooth: {result['trigger']}",
        "notes": f"{result['steps']} steps, {result['priors']} class images, learning rate "
        f"{result['settings']['learning_rate']:g}, seed {result['settings']['seed']}",
    }
    if result["method"] not in ADAPTERS:
        return about
    return {**about, "activation text": result["trigger"], "preferred weight": 1.0}

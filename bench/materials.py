"""What both sides train on, and where it lies."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CLASS_NOUN = "dog"
INSTANCE_PROMPT = "a [V] {class}"
IDENTIFIER = "ohwx"


@dataclass(frozen=True)
class Materials:
    """A folder with the base in both layouts, the photos and the class images, all at `resolution` pixels.

    device: of both sides. precision: of the forward, fp32, bf16 or fp16. machine: what was measured on, for people.
    """

    folder: Path
    resolution: int
    device: str
    precision: str
    class_images: int
    machine: dict[str, Any]

    @property
    def checkpoint(self) -> Path:
        """The base in the original layout: ours."""
        return self.folder / "base.safetensors"

    @property
    def diffusers_base(self) -> Path:
        """The base as a diffusers folder: theirs."""
        return self.folder / "base"

    @property
    def photos(self) -> Path:
        """The subject's photos."""
        return self.folder / "photos"

    @property
    def class_image_folder(self) -> Path:
        """The class images and nothing else: their scripts take every file for an image."""
        return self.folder / "class_images"

    @property
    def prior_store(self) -> Path:
        """The same class images with their recipe, as `trainer.priors` keeps them."""
        return self.folder / "priors"

    def write(self) -> None:
        """Write everything but the folder's own place."""
        values = {name: value for name, value in asdict(self).items() if name != "folder"}
        _file(self.folder).write_text(json.dumps(values, indent=2), encoding="utf-8")


def read_materials(folder: Path) -> Materials:
    """What `Materials.write` wrote."""
    return Materials(folder=folder, **json.loads(_file(folder).read_text(encoding="utf-8")))


def _file(folder: Path) -> Path:
    return folder / "materials.json"

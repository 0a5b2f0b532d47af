"""What all sides train on, and where it lies; what ours is told to do with it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

CLASS_NOUN = "dog"
INSTANCE_PROMPT = "a [V] {class}"
IDENTIFIER = "ohwx"
RANK = 4
"""Of every LoRA, on attention's four projections: the default of diffusers' script, which trains no other layers."""
BOTH, CHECKPOINT = "both layouts", "checkpoint"
LEARNING_RATES = {"lora": 1e-4, "full": 5e-6}


@dataclass(frozen=True)
class Materials:
    """A folder with the base in both layouts, the photos and the class images, all at `resolution` pixels.

    device: of all sides. precision: of the forward, fp32, bf16 or fp16. machine: what was measured on, for people.
    """

    folder: Path
    resolution: int
    device: str
    precision: str
    photo_count: int
    class_images: int
    machine: dict[str, Any]

    @property
    def checkpoint(self) -> Path:
        """The base in the original layout; toybase's VAE is there padded to SD 1.5's full size."""
        return self.folder / "base.safetensors"

    @property
    def diffusers_base(self) -> Path:
        """The base as a diffusers folder; toybase's VAE is there as it was trained, narrow."""
        return self.folder / "base"

    @property
    def photos(self) -> Path:
        """The subject's photos."""
        return self.folder / "photos"

    @property
    def class_image_folder(self) -> Path:
        """The class images and nothing else: the rivals' scripts take every file for an image."""
        return self.folder / "class_images"

    def prompt(self) -> str:
        """The instance prompt, as the rivals are told it."""
        return INSTANCE_PROMPT.replace("[V]", IDENTIFIER).replace("{class}", CLASS_NOUN)

    def write(self) -> None:
        """Write everything but the folder's own place."""
        values = {name: value for name, value in asdict(self).items() if name != "folder"}
        _file(self.folder).write_text(json.dumps(values, indent=2), encoding="utf-8")


def read_materials(folder: Path) -> Materials:
    """What `Materials.write` wrote."""
    return Materials(folder=folder, **json.loads(_file(folder).read_text(encoding="utf-8")))


@dataclass(frozen=True, kw_only=True)
class Task:
    """One training of ours: so many photos, and as many class images, a step.

    resolution, photos, class_images: those of the materials where None; further pictures are the same ones again.
    layout: of the base's files. options: further fields of `TrainOptions`. memory_limit: bytes of the device that
    the process may take.
    """

    method: Literal["lora", "full"]
    steps: int
    batch_size: int = 1
    rank: int = RANK
    resolution: int | None = None
    photos: int | None = None
    class_images: int | None = None
    layout: Literal["checkpoint", "folder"] = "folder"
    options: dict[str, Any] = field(default_factory=dict)
    memory_limit: int | None = None

    def said(self) -> str:
        """As a word of a command line."""
        return json.dumps(asdict(self))


def heard(word: str) -> Task:
    """What `Task.said` said."""
    return Task(**json.loads(word))


def _file(folder: Path) -> Path:
    return folder / "materials.json"

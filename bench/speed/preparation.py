"""Makes the materials, in a process of its own: the one that measures must stay small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ...machine_check.full_size import write_random
from ...toybase.diffusers_folder import write_diffusers_folder
from ...toybase.subjects import FOLDER as SUBJECTS
from ...toybase.writer import write_checkpoint
from ...trainer.export.diffusers_folder import write_diffusers_folder as write_base_folder
from ...trainer.files.pictures import write_picture
from ...trainer.model.families import load_base
from ...trainer.model.families.latent_diffusion.build import write_clip_tokenizer
from ...trainer.model.precision import AUTOCAST, forward_dtype
from ...trainer.options.choices import Precision
from ...trainer.sampling.class_priors import picture_path
from ...trainer.subject.photos import read_folder
from ..machine import machine
from . import kohya
from .materials import BOTH, Materials

SUBJECT = "spotted_dog"
CLASS_IMAGES = 12


def main(words: Sequence[str]) -> None:
    """FOLDER BASE RESOLUTION PRECISION DEVICE LAYOUTS, see `prepare`."""
    folder, base, resolution, precision, device, layouts = words
    prepare(Path(folder), base, int(resolution), precision, torch.device(device), layouts)  # type: ignore[arg-type]


def prepare(
    folder: Path, base: str, resolution: int, precision: Precision, device: torch.device, layouts: str = BOTH
) -> Materials:
    """Write base, photos and class images into `folder`.

    base: "toybase", or a family of `machine_check.full_size`, whose weights are then random. Class images are the
    photos again: what is on them changes no time. layouts: both, or the checkpoint alone.
    """
    dtype = forward_dtype(precision, device)
    photos = read_folder(SUBJECTS / SUBJECT, resolution, resolution)
    materials = Materials(
        folder=folder,
        resolution=resolution,
        device=device.type,
        precision=next(name for name, value in AUTOCAST.items() if value == dtype),
        photo_count=len(photos),
        class_images=CLASS_IMAGES,
        machine=machine(device),
    )
    _write_base(materials, base, layouts, device)
    for photo in photos:
        write_picture(photo.pixels, materials.photos / photo.name)
    for index in range(CLASS_IMAGES):
        write_picture(photos[index % len(photos)].pixels, picture_path(materials.class_image_folder, index))
    if base != "toybase":
        kohya.lay_out(materials)
        tokenizer = kohya.tokenizer_folder(materials) / kohya.TOKENIZER
        tokenizer.parent.mkdir()
        write_clip_tokenizer(tokenizer, 77, "<|endoftext|>")
    materials.write()
    return materials


def _write_base(materials: Materials, base: str, layouts: str, device: torch.device) -> None:
    if base == "toybase":
        write_checkpoint(materials.checkpoint)
    else:
        write_random(base, materials.checkpoint, device)
    if layouts != BOTH:
        return
    if base == "toybase":
        write_diffusers_folder(materials.diffusers_base)
    else:
        write_base_folder(load_base(materials.checkpoint, "epsilon"), materials.diffusers_base)

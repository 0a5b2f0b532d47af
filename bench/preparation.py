"""Makes the materials, in a process of its own: the one that measures must stay small."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from accelerate import PartialState

from ..toybase.diffusers_folder import write_diffusers_folder
from ..toybase.subjects import FOLDER as SUBJECTS
from ..toybase.writer import write_checkpoint
from ..trainer.families import load_base
from ..trainer.options import Precision
from ..trainer.photos import read_folder
from ..trainer.precision import AUTOCAST, forward_dtype
from ..trainer.priors import ClassPriors, PriorRecipe, complete, write_picture
from ..trainer.sampling import SamplerSettings, draw
from .materials import CLASS_NOUN, Materials

SUBJECT = "spotted_dog"
CLASS_IMAGES = 12
AT_ONCE = 6
LIBRARIES = ("torch", "diffusers", "transformers", "peft", "accelerate")


def main(words: Sequence[str]) -> None:
    """FOLDER RESOLUTION PRECISION [CHECKPOINT DIFFUSERS_BASE]; the last two in place of the embedded base."""
    folder, resolution, precision, *own_base = words
    prepare(Path(folder), int(resolution), precision, [Path(path).resolve() for path in own_base])  # type: ignore[arg-type]


def prepare(folder: Path, resolution: int, precision: Precision, own_base: Sequence[Path] = ()) -> Materials:
    """Write base, photos and class images into `folder`."""
    # accelerate's choice of a device is the one that their scripts follow.
    device = PartialState().device
    dtype = forward_dtype(precision, device)
    materials = Materials(
        folder=folder,
        resolution=resolution,
        device=device.type,
        precision=next(name for name, value in AUTOCAST.items() if value == dtype),
        class_images=CLASS_IMAGES,
        machine=machine(device),
    )
    _write_base(materials, own_base)
    for photo in read_folder(SUBJECTS / SUBJECT, resolution, resolution):
        write_picture(photo.pixels, materials.photos / photo.name)
    priors = _class_priors(materials, device)
    shutil.copytree(priors.folder, materials.class_image_folder, ignore=shutil.ignore_patterns("*.json"))
    materials.write()
    return materials


def machine(device: torch.device) -> dict[str, object]:
    """What the figures depend on beside the code."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    libraries = {library: version(library) for library in LIBRARIES}
    return {"processor": f"{platform.machine()} {name}", "threads": torch.get_num_threads(), **libraries}


def _write_base(materials: Materials, own_base: Sequence[Path]) -> None:
    if not own_base:
        write_checkpoint(materials.checkpoint)
        write_diffusers_folder(materials.diffusers_base)
        return
    checkpoint, diffusers_base = own_base
    materials.checkpoint.symlink_to(checkpoint)
    materials.diffusers_base.symlink_to(diffusers_base)


def _class_priors(materials: Materials, device: torch.device) -> ClassPriors:
    base = load_base(materials.checkpoint).to(device)
    side, prompt = materials.resolution, f"a {CLASS_NOUN}"
    settings = SamplerSettings(width=side, height=side)
    recipe = PriorRecipe(
        base=base.fingerprint,
        class_noun=CLASS_NOUN,
        prompt=prompt,
        sampler=settings.sampler,
        steps=settings.steps,
        guidance=settings.guidance,
        width=side,
        height=side,
        seed=0,
    )
    return complete(
        recipe, CLASS_IMAGES, materials.prior_store, lambda s: draw(base, [prompt] * len(s), s, settings), AT_ONCE
    )

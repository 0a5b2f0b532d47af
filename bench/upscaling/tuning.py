"""Tuning the upscaler on a subject's photos and class pairs, as `train` does it."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import Tensor

from ...demo.example import SUBJECTS
from ...trainer.model.base import Base
from ...trainer.model.families import load_base
from ...trainer.options import TrainOptions
from ...trainer.runs.request import Request
from ...trainer.runs.store import Store
from ...trainer.sampling.class_priors import ClassPriors
from ...trainer.sampling.prior_recipe import PriorRecipe
from ...trainer.session.personalize import personalize
from ...trainer.subject.own_class_images import OwnClassImages
from ...trainer.subject.photos import Photo, read_folder
from ...trainer.subject.subject import Subject
from .scenes import SIZE, SubjectScenes

IDENTIFIER = "olt"


def tuned(upscaler: Path, fingerprint: str, scenes: SubjectScenes, options: TrainOptions, folder: Path) -> Base:
    """The upscaler of a diffusers folder, tuned. folder: of the run's files, which is deleted in the end."""
    base = load_base(upscaler, known_fingerprint=fingerprint)
    photos = read_folder(SUBJECTS / scenes.name, SIZE, SIZE)
    request = Request(
        subject=Subject(photos, scenes.class_noun, SIZE, SIZE),
        identifier=IDENTIFIER,
        options=options,
        name="bench",
        priors=_class_pairs(fingerprint, scenes.class_noun, scenes.class_pairs),
    )
    shutil.rmtree(folder, ignore_errors=True)
    personalize(base, request, Store(folder / "loras", folder / "checkpoints", folder / "dreambooth"))
    shutil.rmtree(folder)
    return base


def _class_pairs(fingerprint: str, noun: str, pixels: Tensor) -> ClassPriors:
    """Pictures of the class as the user's own class images."""
    recipe = PriorRecipe(
        base_fingerprint=fingerprint,
        class_noun=noun,
        prompt=f"a {noun}",
        sampler="ddim",
        steps=1,
        guidance=1.0,
        width=SIZE,
        height=SIZE,
        seed=0,
    )
    photos = tuple(Photo(f"{number}", one.contiguous(), None, None) for number, one in enumerate(pixels))
    return ClassPriors(recipe, Path(), 0, own=(OwnClassImages(noun, photos),))

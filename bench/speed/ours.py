"""Our side: one run of `trainer.personalize`, with a progress bar as the rivals show it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import NoReturn

import torch
from tqdm.auto import tqdm

from ...trainer.events import Event, Step, Tell
from ...trainer.methods.registry import METHODS
from ...trainer.model.base import Base
from ...trainer.model.families import load_base
from ...trainer.model.precision import forward_dtype, frozen_text_dtype
from ...trainer.options import TrainOptions
from ...trainer.prompts import PromptTemplates
from ...trainer.runs.request import Request
from ...trainer.runs.store import Store
from ...trainer.sampling.class_priors import ClassPriors, picture_path
from ...trainer.sampling.prior_recipe import PriorRecipe
from ...trainer.sampling.sampler import SamplerSettings
from ...trainer.session.personalize import personalize
from ...trainer.subject.photos import read_folder
from ...trainer.subject.subject import Subject
from .device_memory import say_peak
from .materials import CLASS_NOUN, IDENTIFIER, INSTANCE_PROMPT, LEARNING_RATES, Materials, Task, heard, read_materials


def main(words: Sequence[str]) -> None:
    """MATERIALS TASK OUTPUT, as contenders.our_command says them."""
    materials, task, output = words
    train(read_materials(Path(materials)), heard(task), Path(output))


def train(materials: Materials, task: Task, output: Path) -> None:
    """Train and save, as the command line does."""
    base = open_base(materials, task)
    request = request_of(materials, task, base, output)
    with tqdm(total=task.steps, desc="Steps", mininterval=0) as bar:
        personalize(base, request, store_in(output), shown_on(bar))
    say_peak()


def open_base(materials: Materials, task: Task) -> Base:
    """The base that computes on its device, which holds no more than the task's limit."""
    device = torch.device(materials.device)
    if task.memory_limit is not None and device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(
            min(1.0, task.memory_limit / torch.cuda.get_device_properties(device).total_memory)
        )
    path = materials.checkpoint if task.layout == "checkpoint" else materials.diffusers_base
    options = options_of(materials, task)
    forward = forward_dtype(options.precision, device)
    dtype = METHODS[options.method].load_dtype(options, forward)
    text_dtype = frozen_text_dtype(options, device.type, forward)
    return load_base(path, None, dtype, None, text_dtype).compute_on(device)


def options_of(materials: Materials, task: Task) -> TrainOptions:
    """The same as the rivals', and what the task says beside."""
    same = {
        "method": task.method,
        "steps": task.steps,
        "learning_rate": LEARNING_RATES[task.method],
        "batch_size": task.batch_size,
        "rank": task.rank,
        "targets": "attention",
        "precision": materials.precision,
        "sample_count": 0,
    }
    return TrainOptions(**{**same, **task.options, "templates": PromptTemplates(INSTANCE_PROMPT)})


def request_of(materials: Materials, task: Task, base: Base, folder: Path) -> Request:
    """What `personalize` is asked; more class images than the materials have are copied into `folder`."""
    side = task.resolution or materials.resolution
    photos = tuple(islice(cycle(read_folder(materials.photos, side, side)), task.photos or materials.photo_count))
    subject = Subject(photos, CLASS_NOUN, side, side)
    priors = class_priors(materials, task, base, folder)
    return Request(
        subject=subject, identifier=IDENTIFIER, options=options_of(materials, task), name="bench", priors=priors
    )


def class_priors(materials: Materials, task: Task, base: Base, folder: Path) -> ClassPriors:
    """The materials' class images as a set; where the task asks for more, the same ones again."""
    side = task.resolution or materials.resolution
    recipe = recipe_of(base, SamplerSettings(width=side, height=side))
    count = task.class_images or materials.class_images
    if count <= materials.class_images:
        return ClassPriors(recipe, materials.class_image_folder, count)
    copies = folder / "class images"
    copies.mkdir(parents=True)
    for index in range(count):
        shutil.copyfile(
            picture_path(materials.class_image_folder, index % materials.class_images), picture_path(copies, index)
        )
    return ClassPriors(recipe, copies, count)


def recipe_of(base: Base, settings: SamplerSettings) -> PriorRecipe:
    """How class images of this base are drawn."""
    return PriorRecipe(
        base_fingerprint=base.fingerprint,
        class_noun=CLASS_NOUN,
        prompt=f"a {CLASS_NOUN}",
        sampler=settings.sampler,
        steps=settings.steps,
        guidance=settings.guidance,
        width=settings.width,
        height=settings.height,
        seed=0,
    )


def store_in(output: Path) -> Store:
    """The folders of a host, in `output`."""
    return Store(output / "loras", output / "checkpoints", output / "dreambooth")


def shown_on(bar: tqdm[NoReturn]) -> Tell:
    """A listener that moves the bar with every step and shows its loss, as diffusers' scripts do."""

    def tell(event: Event) -> None:
        if isinstance(event, Step):
            bar.update(event.step - bar.n)
            bar.set_postfix(loss=event.instance, lr=event.learning_rate)

    return tell

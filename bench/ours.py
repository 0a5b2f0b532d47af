"""Our side: one run of `trainer.personalize`, with a progress bar as their scripts show it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch
from tqdm.auto import tqdm

from ..trainer.events import Event, Step, Tell
from ..trainer.families import load_base
from ..trainer.options import TrainOptions
from ..trainer.personalize import personalize
from ..trainer.photos import read_folder
from ..trainer.priors import ClassPriors, PriorRecipe
from ..trainer.prompts import PromptTemplates
from ..trainer.request import Request
from ..trainer.store import Store
from ..trainer.subject import Subject
from .materials import CLASS_NOUN, IDENTIFIER, INSTANCE_PROMPT, Materials, read_materials


def main(words: Sequence[str]) -> None:
    """MATERIALS METHOD STEPS LEARNING_RATE RANK OUTPUT, as contenders.our_command says them."""
    materials, method, steps, rate, rank, output = words
    options = TrainOptions(
        method=method,  # type: ignore[arg-type]
        steps=int(steps),
        learning_rate=float(rate),
        rank=int(rank),
        targets="attention",
        precision=read_materials(Path(materials)).precision,  # type: ignore[arg-type]
        templates=PromptTemplates(INSTANCE_PROMPT),
        sample_count=0,
    )
    train(read_materials(Path(materials)), options, Path(output))


def train(materials: Materials, options: TrainOptions, output: Path) -> None:
    """Train and save, as the nodes do."""
    base = load_base(materials.checkpoint).to(torch.device(materials.device))
    side = materials.resolution
    subject = Subject(read_folder(materials.photos, side, side), CLASS_NOUN, side, side)
    request = Request(
        subject=subject, identifier=IDENTIFIER, options=options, name="bench", priors=class_priors(materials)
    )
    store = Store(output / "loras", output / "checkpoints", output / "dreambooth")
    with tqdm(total=options.steps, desc="Steps", mininterval=0) as bar:
        personalize(base, request, store, shown_on(bar))


def class_priors(materials: Materials) -> ClassPriors:
    """The set that was drawn when the materials were made."""
    recipe = next(materials.prior_store.glob("*/recipe.json"))
    fields = json.loads(recipe.read_text(encoding="utf-8"))
    return ClassPriors(PriorRecipe(**fields), recipe.parent, materials.class_images)


def shown_on(bar: tqdm[NoReturn]) -> Tell:
    """A listener that moves the bar with every step and shows its loss, as their scripts do."""

    def tell(event: Event) -> None:
        if isinstance(event, Step):
            bar.update(event.step - bar.n)
            bar.set_postfix(loss=event.instance, lr=event.learning_rate)

    return tell

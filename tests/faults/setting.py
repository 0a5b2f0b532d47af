"""What is trained in the bench: the embedded base with its narrow VAE, a small LoRA, a handful of steps."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ...toybase.diffusers_folder import write_diffusers_folder
from ...trainer.events import Event, Phase, Saved, Step, never
from ...trainer.model.base import Base
from ...trainer.model.families import load_base
from ...trainer.options import TrainOptions
from ...trainer.runs.request import Request
from ...trainer.runs.store import Store
from ...trainer.sampling.class_priors import ClassPriors, draw_missing
from ...trainer.sampling.prior_recipe import PriorRecipe
from ...trainer.sampling.sampler import prior_drawer
from ...trainer.session import drawing, resume_state
from ...trainer.session.personalize import personalize
from ...trainer.session.setup import encode_request
from ...trainer.subject.photos import read_folder
from ...trainer.subject.subject import Subject
from .points import Points

SUBJECTS = Path(__file__).resolve().parents[2] / "toybase" / "subjects"
SIDE, STEPS, BETWEEN, PICTURE = 32, 4, 2, 3
NAME, NOUN, IDENTIFIER = "dog", "dog", "ohwx"
Answer = TypeVar("Answer")


@dataclass
class Setting:
    """base: loaded once; a child that is forked changes its own copy. folder: for everything that is written."""

    base: Base
    request: Request
    folder: Path
    recipe: PriorRecipe

    def store(self, name: str) -> Store:
        """Folders of a host of their own."""
        return store_in(self.folder / name)

    def with_options(self, **changes: Any) -> Setting:
        """The same with other options."""
        return replace(self, request=replace(self.request, options=replace(self.request.options, **changes)))

    def key(self, store: Store) -> str:
        """Of the run, with its class images as they will be."""
        priors = ClassPriors(self.recipe, store.work / "priors" / self.recipe.fingerprint[:24], 1)
        return replace(self.request, priors=priors).key(self.base.fingerprint)


def store_in(folder: Path) -> Store:
    """Folders of a host of their own."""
    return Store(folder / "loras", folder / "checkpoints", folder / "dreambooth")


def prepare(folder: Path) -> Setting:
    """Load everything, with one thread: a fork copies no other."""
    torch.set_num_threads(1)
    source = folder / "base"
    base = load_base(source if source.is_dir() else write_diffusers_folder(source))
    subject = Subject(read_folder(SUBJECTS / "spotted_dog", SIDE, SIDE)[:1], NOUN, SIDE, SIDE)
    options = TrainOptions(
        steps=STEPS, rank=2, targets="attention", precision="fp32", schedule="cosine", warmup_steps=1,
        learning_rate=1e-3, sample_count=1, sample_every=PICTURE, save_every=BETWEEN, state_seconds=1e-9,
    )  # fmt: skip
    recipe = PriorRecipe(
        base_fingerprint=base.fingerprint, class_noun=NOUN, prompt=f"a {NOUN}", sampler="euler_ancestral", steps=1,
        guidance=1.0, width=SIDE, height=SIDE, seed=0,
    )  # fmt: skip
    request = Request(subject=subject, identifier=IDENTIFIER, options=options, name=NAME)
    _encode_before(base, request, recipe, folder / "before")
    # What lives now is never looked through again, so that a child's collector copies no page of it.
    gc.collect()
    gc.freeze()
    return Setting(base, request, folder, recipe)


def _encode_before(base: Base, request: Request, recipe: PriorRecipe, folder: Path) -> None:
    """What frozen parts answer is computed here, once for all children."""
    base.encode_tokens = _remembered(base.encode_tokens)  # type: ignore[method-assign, assignment]
    base.encode_images = _remembered(base.encode_images)  # type: ignore[method-assign, assignment]
    priors = draw_missing(recipe, 1, folder, prior_drawer(base, recipe), 1)
    encode_request(base, replace(request, priors=priors), never)
    base.encode_prompts([f"a {IDENTIFIER} {NOUN}"])


def _remembered(ask: Callable[[Tensor], Answer]) -> Callable[[Tensor], Answer]:
    known: dict[bytes, Answer] = {}

    def answer(shown: Tensor) -> Answer:
        key = repr(shown.shape).encode() + shown.numpy().tobytes()
        if key not in known:
            known[key] = ask(shown)
        return known[key]

    return torch.no_grad()(answer)


def train(setting: Setting, store: Store, points: Points | None = None, on_event: Any = None) -> dict[str, Any]:
    """The whole run, class images too, in a child; its file and its losses."""
    points = points or Points()
    # A state after every step, however long it takes, and pictures of one denoising step.
    resume_state.SHARE = 0
    drawing.SamplerSettings = partial(drawing.SamplerSettings, steps=1, guidance=1.0)  # type: ignore[misc, assignment]

    def tell(event: Event) -> None:
        if isinstance(event, Phase):
            points.begin(event.name)
        elif isinstance(event, Saved):
            points.begin("after saving")
        elif isinstance(event, Step):
            points.reach(f"step {event.step}")
        if on_event is not None:
            on_event(event)

    points.begin("class images")
    priors = draw_missing(setting.recipe, 1, store.work / "priors", prior_drawer(setting.base, setting.recipe), 1)
    result, run = personalize(setting.base, replace(setting.request, priors=priors), store, tell)
    losses = [[point.step, point.instance, point.prior] for point in run.losses()]
    return {
        "file": str(result.file),
        "losses": losses,
        "status": run.record["status"],
        "points": points.seen,
        "times": points.times,
    }

"""A small model's run from photos to file: trained, stopped and resumed, sampled, its text encoder offloaded."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from ..trainer.events import Event, Sample, Step
from ..trainer.files.pictures import write_picture
from ..trainer.files.safetensors import read_tensors
from ..trainer.model.base import Base
from ..trainer.model.precision import forward_dtype
from ..trainer.options import TrainOptions
from ..trainer.runs.request import Request
from ..trainer.runs.store import Store
from ..trainer.sampling.class_priors import ClassPriors, picture_path
from ..trainer.sampling.prior_recipe import PriorRecipe
from ..trainer.session.personalize import personalize
from ..trainer.subject.subject import Subject
from .outcome import FAILED, WORKS, Outcome
from .random_model import RandomModel
from .trial import random_photos

STEPS, STOPPED_AFTER = 4, 2
CLASS_IMAGES = 2
CLOSE = 1e-3
"""The largest difference of weights, as a share of the largest weight, that a GPU's own order of additions explains."""


def whole_run(model: RandomModel, device: torch.device) -> list[Outcome]:
    """One outcome each for training to a file, a sample picture, offloading and resume.

    A single failed outcome where anything raises.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="dreambooth-check-", ignore_cleanup_errors=True) as folder:
        try:
            return list(_outcomes(_Runs(model, device, Path(folder)), began))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            return [Outcome("from photos to file", FAILED, text).with_seconds(time.perf_counter() - began)]


class _Runs:
    """Runs of one request in one folder."""

    def __init__(self, model: RandomModel, device: torch.device, folder: Path) -> None:
        self.model, self.device, self.folder = model, device, folder
        self.source = model.source(device)

    def base(self) -> Base:
        """The model, loaded anew."""
        return self.model.load(self.source, forward_dtype("auto", self.device) or torch.float32, self.device)

    def train(
        self, base: Base, subfolder: str, tell: Callable[[Event], None], stop: Callable[[], bool] = lambda: False
    ) -> dict[str, Tensor]:
        """Train in this subfolder, or resume there; returns the tensors of the resulting file."""
        output = self.folder / subfolder
        folders = Store(output / "loras", output / "checkpoints", output / "dreambooth")
        result, _ = personalize(base, self._request(base), folders, tell, stop)
        return read_tensors(result.file)

    def _request(self, base: Base) -> Request:
        side = self.model.side
        options = TrainOptions(steps=STEPS, rank=4, learning_rate=1e-3, sample_count=1, warmup_steps=1)
        return Request(
            subject=Subject(random_photos(3, side), "dog", side, side),
            identifier="olt",
            options=options,
            name="check",
            priors=self._priors(base),
        )

    def _priors(self, base: Base) -> ClassPriors:
        side, folder = self.model.side, self.folder / "class images"
        for index, photo in enumerate(random_photos(CLASS_IMAGES, side)):
            write_picture(photo.pixels, picture_path(folder, index))
        recipe = PriorRecipe(
            base_fingerprint=base.fingerprint, class_noun="dog", prompt="a dog", sampler=base.sampler, steps=1,
            guidance=1.0, width=side, height=side, seed=0,
        )  # fmt: skip
        return ClassPriors(recipe, folder, CLASS_IMAGES)


def _outcomes(runs: _Runs, began: float) -> Iterator[Outcome]:
    """The four outcomes, each with the seconds since the one before."""
    base, samples, steps = runs.base(), list[Sample](), list[int]()

    def keep(event: Event) -> None:
        if isinstance(event, Sample):
            samples.append(event)
        if isinstance(event, Step):
            steps.append(event.step)

    before = base.encode_prompts(["a dog"])
    whole = runs.train(base, "whole", keep)
    elapsed = _Clock(began)
    yield Outcome("from photos to file", WORKS, f"{STEPS} steps, {len(whole)} tensors in the file").with_seconds(
        elapsed()
    )
    yield _sample_outcome(samples).with_seconds(elapsed())
    yield _offload_outcome(base, before).with_seconds(elapsed())
    del base
    steps.clear()
    runs.train(runs.base(), "stopped", keep, lambda: len(steps) >= STOPPED_AFTER)
    yield _resume_outcome(whole, runs.train(runs.base(), "stopped", keep), steps).with_seconds(elapsed())


class _Clock:
    """Seconds since it was last asked."""

    def __init__(self, began: float) -> None:
        self._last = began

    def __call__(self) -> float:
        now = time.perf_counter()
        self._last, passed = now, now - self._last
        return passed


def _sample_outcome(samples: list[Sample]) -> Outcome:
    """Whether there is a sample picture, finite and not of one colour."""
    name = "sample picture"
    if not samples:
        return Outcome(name, FAILED, "no sample was drawn")
    picture = samples[-1].images
    if not bool(torch.isfinite(picture).all()) or float(picture.std()) == 0:
        return Outcome(name, FAILED, "it is not finite, or of one colour")
    return Outcome(name, WORKS, f"{picture.shape[-1]} px, drawn by the trained model")


def _offload_outcome(base: Base, before: dict[str, Tensor]) -> Outcome:
    """Whether the text encoder's weights left the memory during the training, and come back equal."""
    from ..trainer.model.offload import on_device

    name, encoders = "offloading", base.text_encoders
    if not all(p.is_meta for module in encoders.values() for p in module.parameters()):
        return Outcome(name, FAILED, "the text encoder stayed in memory during the training")
    with torch.no_grad(), on_device(base, encoders):
        after = base.encode_prompts(["a dog"])
    worst = max(float((after[key].cpu().float() - value.cpu().float()).abs().max()) for key, value in before.items())
    if worst > CLOSE * max(float(value.abs().max()) for value in before.values()):
        return Outcome(name, FAILED, f"a text encoder that came back answers otherwise, by {worst:.3g}")
    return Outcome(name, WORKS, "the text encoder left the memory and came back equal")


def _resume_outcome(whole: dict[str, Tensor], resumed: dict[str, Tensor], steps: list[int]) -> Outcome:
    """Whether a run that was stopped and resumed has the weights of one that was not."""
    name = "stop and resume"
    if steps != list(range(1, STEPS + 1)):
        return Outcome(name, FAILED, f"the steps done are {steps}")
    worst = max(float((resumed[key].float() - tensor.float()).abs().max()) for key, tensor in whole.items())
    largest = max(float(tensor.abs().max()) for tensor in whole.values())
    if worst > CLOSE * largest:
        return Outcome(name, FAILED, f"weights differ by {worst:.3g} from a run that was not stopped")
    return Outcome(name, WORKS, "the same bits as without a stop" if not worst else f"equal within {worst:.2g}")

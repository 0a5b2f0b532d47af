"""From a subject to a file: encode, train, sample, save."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .base import Base
from .batches import Batches
from .continuing import starting_weights
from .encoded import EncodedImages, EncodedPrompts, encode_images, encode_prompts
from .events import Phase, PhaseName, Sample, Saved, Stop, Tell, never, tell_nobody
from .export.said import Said
from .methods import METHODS, Lora, Method
from .personalized import Personalized
from .precision import autocast, forward_dtype
from .prompts import filled
from .request import Request
from .run import Run, open_run, points, relative
from .sampling import SamplerSettings, draw
from .saving import save_result
from .store import Store
from .train import LossCurve, Training, TrainingDiverged, train


class NothingTrained(RuntimeError):
    """A run that was stopped before its first step."""


def find_finished(request: Request, base: str, store: Store) -> tuple[Personalized, Run] | None:
    """The finished result of the same run on the base with this fingerprint, if it is on disk."""
    run = open_run(request.key(base), store)
    found = run.result()
    return None if found is None else (found, run)


def personalize(
    base: Base, request: Request, store: Store, tell: Tell = tell_nobody, stop: Stop = never
) -> tuple[Personalized, Run]:
    """Teach `base` the subject and save the result, or find the finished run with the same key.

    Changes `base`, the dtype of its frozen layers too: load a fresh one for the next run. When `tell` or the
    training raises, what was trained is saved before the exception goes on; a loss that is no number saves nothing.
    """
    if found := find_finished(request, base.fingerprint, store):
        return found
    run = open_run(request.key(base.fingerprint), store)
    return _Personalization(base, request, run, tell, stop).result(), run


@dataclass
class _Personalization:
    """The verbs of one run, in their order."""

    base: Base
    request: Request
    run: Run
    tell: Tell
    stop: Stop
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.options = self.request.options
        self.method = self._method()

    def result(self) -> Personalized:
        self.run.write(status="running", **self._description())
        with self._phase("encoding"):
            prompts, instance, prior = self._encode()
        self.method.attach(self.base, self.options)
        batches = Batches(instance, prior, self.base.process, self.options.seed, self.options.batch_size)
        training = Training(self.base, batches, prompts, self.options)
        curve = LossCurve(self.options.steps, self.tell, self.base.device)
        self._train(training, curve)
        if len(curve.points) == self.options.steps:
            self._sample(self.options.steps)
        return self._save(curve)

    def _method(self) -> Method:
        file = self.request.continue_from
        if file is None:
            return METHODS[self.options.method]()
        return Lora(starting_weights(file, self.base, self.options))

    def _encode(self) -> tuple[EncodedPrompts, EncodedImages, EncodedImages | None]:
        subject, templates = self.request.subject, self.options.templates
        priors = self.request.priors if self.options.prior_weight > 0 else None
        noun, identifier = subject.class_noun, self.request.identifier
        photos = subject.in_training_order
        texts = [templates.instance_prompt(identifier, noun, photo.caption) for photo in photos]
        distinct = list(dict.fromkeys([*texts, templates.class_prompt(noun)]))
        prompts = encode_prompts(self.base, distinct, self.options.train_text_encoder)
        instance = encode_images(self.base, photos, [distinct.index(text) for text in texts])
        if priors is None:
            return prompts, instance, None
        class_row = distinct.index(templates.class_prompt(noun))
        return prompts, instance, encode_images(self.base, priors.photos(), [class_row] * priors.count)

    def _train(self, training: Training, curve: LossCurve) -> None:
        try:
            with self._phase("training"):
                train(training, curve, self.stop, self._after_step)
        except TrainingDiverged:
            self.run.write(status="failed")
            raise
        except BaseException:
            if curve.points:
                self._save(curve)
            raise

    def _after_step(self, done: int) -> None:
        every = self.options.sample_every
        if every and done % every == 0 and done < self.options.steps:
            self._sample(done)

    def _sample(self, step: int) -> None:
        if not self.options.sample_count:
            return
        subject, count = self.request.subject, self.options.sample_count
        prompt = self._sample_prompt()
        settings = SamplerSettings(width=subject.width, height=subject.height)
        dtype = forward_dtype(self.options.precision, self.base.device)
        with self._phase("sampling"), autocast(dtype, self.base.device):
            images = draw(self.base, [prompt] * count, range(count), settings)
        sample = Sample(step, prompt, images)
        self.run.keep_sample(sample)
        self.tell(sample)

    def _sample_prompt(self) -> str:
        noun, identifier = self.request.subject.class_noun, self.request.identifier
        return filled(self.options.sample_prompt or self.options.templates.instance, identifier, noun)

    def _save(self, curve: LossCurve) -> Personalized:
        if not curve.points:
            raise NothingTrained("The run was stopped before its first step; there is nothing to save.")
        finished = len(curve.points) == self.options.steps
        with self._phase("saving"):
            result = self._write_file(len(curve.points))
        self.run.write(
            status="finished" if finished else "stopped",
            files=[relative(result.file, self.run.store)],
            seconds={name: round(value, 3) for name, value in self.seconds.items()},
            steps_per_second=round(curve.points[-1].steps_per_second, 3),
            losses=points(curve.points),
        )
        self.tell(Saved(result.file))
        return result

    def _write_file(self, steps: int) -> Personalized:
        request, options, store = self.request, self.options, self.run.store
        result = Personalized(
            file=store.new_file(options.method, request.name),
            method=options.method,
            identifier=request.identifier,
            class_noun=request.subject.class_noun,
            trained_from=self.base.fingerprint,
            steps=steps,
            seed=options.seed,
        )
        save_result(self.base, self.method, result, self._said(steps), store)
        return result

    def _said(self, steps: int) -> Said:
        request, pictures = self.request, self.run.samples()
        return Said(
            name=request.name,
            identifier=request.identifier,
            subject=request.subject,
            options=self.options,
            steps=steps,
            priors=0 if request.priors is None else request.priors.count,
            base_file=request.base_file,
            thumbnail=pictures[-1] if len(pictures) else None,
        )

    def _description(self) -> dict[str, Any]:
        request = self.request
        return {
            "name": request.name,
            "trigger": f"{request.identifier} {request.subject.class_noun}",
            "identifier": request.identifier,
            "class_noun": request.subject.class_noun,
            "method": self.options.method,
            "base": self.base.fingerprint,
            "photos": len(request.subject.photos),
            "priors": 0 if request.priors is None else request.priors.count,
            "settings": self.options.settings,
        }

    @contextmanager
    def _phase(self, name: PhaseName) -> Iterator[None]:
        self.tell(Phase(name))
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

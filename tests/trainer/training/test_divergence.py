"""Runs that make no sense are told apart from those that learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dreambooth_nodes.trainer.events import Event, Step, Warned
from dreambooth_nodes.trainer.files.safetensors import read_tensors
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.runs.past_runs import results
from dreambooth_nodes.trainer.runs.personalized import read_personalized
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.training import loop
from dreambooth_nodes.trainer.training.divergence import (
    EXPLODED,
    WINDOW,
    DivergenceGuard,
    TrainingDiverged,
    no_progress_warning,
)
from dreambooth_nodes.trainer.training.loss import Losses

AT_EVERY_STEP = 1e-9


def point(step: int, instance: float, prior: float | None = None, norm: float = 1.0) -> Step:
    return Step(step, 100, instance, prior, 1e-4, 1.0, 1.0, norm)


@pytest.mark.parametrize(
    "bad", [point(1, math.nan), point(1, 0.1, math.inf), point(1, 0.1, 0.1, math.nan), point(1, 0.1, None, math.inf)]
)
def test_what_is_no_number_ends_the_run_with_its_likely_cause(bad: Step) -> None:
    with pytest.raises(TrainingDiverged, match=r"at step 1: the learning rate 0\.0001"):
        DivergenceGuard().check(bad)


def test_an_infinite_gradient_is_the_scalers_business_in_fp16() -> None:
    DivergenceGuard(scaled=True).check(point(1, 0.1, None, math.inf))


@pytest.mark.parametrize("level", [0.01, 0.9, 3.0])
def test_losses_may_jump_as_they_do_by_timestep_and_may_not_explode(level: float) -> None:
    watch = DivergenceGuard()
    for step in range(1, 200):
        watch.check(point(step, level * (30 if step % 5 == 0 else 1)))
    limit = EXPLODED * max(1.0, level)
    with pytest.raises(TrainingDiverged, match="has grown from"):
        for step in range(200, 200 + WINDOW):
            watch.check(point(step, 1.01 * limit))
    assert watch.accepts(Losses(torch.tensor(0.99 * limit), None, torch.tensor(0.0)))
    assert not watch.accepts(Losses(torch.tensor(1.01 * limit), None, torch.tensor(0.0)))
    assert not watch.accepts(Losses(torch.tensor(math.nan), None, torch.tensor(0.0)))


def test_a_loss_that_stands_still_is_told_from_one_that_moves() -> None:
    assert no_progress_warning(0.5, 0.4999, 100, 1e-9) is not None
    assert no_progress_warning(0.5, 0.49, 100, 1e-4) is None and no_progress_warning(0.5, 0.51, 100, 1e-4) is None


def asked(subject: Subject, **options: Any) -> Request:
    settings = {"sample_count": 0, "precision": "fp32", "state_seconds": AT_EVERY_STEP, **options}
    return Request(subject=subject, identifier="ohwx", options=TrainOptions(**settings), name="dog")


def test_a_rate_that_is_too_high_ends_the_run(toybase_file: Path, subject: Subject, store: Store) -> None:
    """A base that has learned something: one of random weights has little to lose."""
    with pytest.raises(TrainingDiverged, match=r"learning rate 3 is likely too high"):
        personalize(load_base(toybase_file), asked(subject, method="full", steps=400, learning_rate=3.0), store)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_good_state(
    new_base: Callable[[], Base], subject: Subject, store: Store
) -> None:
    """A weight breaks after the first state was written, and before the next one can be."""
    base, done = new_base(), list[int]()

    def break_after_a_state(event: Event) -> None:
        if isinstance(event, Step):
            done.append(event.step)
            if list(store.work.glob("runs/*/state.safetensors")):
                base.denoiser.conv_out.weight.data.fill_(torch.nan)

    with pytest.raises(TrainingDiverged, match=r"The loss is nan .* steps had trained is saved as dog_00001"):
        personalize(base, asked(subject, method="full", steps=400), store, break_after_a_state)
    ((run, result),) = results(store)
    assert run.record["status"] == "failed" and 0 < result.steps < len(done) + 1 < 400
    assert read_personalized(result.file).steps == result.steps and run.state.is_file()
    assert all(torch.isfinite(tensor).all() for tensor in read_tensors(result.file).values())


@pytest.mark.parametrize(
    ("rate", "warned", "steps"), [(1e-9, True, 10), pytest.param(1e-3, False, 100, marks=pytest.mark.slow)]
)
def test_a_rate_that_is_too_low_is_said(
    rate: float, warned: bool, steps: int, toybase_file: Path, subject: Subject, store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(loop, "STEPS_TO_MOVE", steps)
    events: list[Event] = []
    personalize(load_base(toybase_file), asked(subject, steps=steps, learning_rate=rate), store, events.append)
    texts = [event.text for event in events if isinstance(event, Warned)]
    assert bool(texts) == warned and all("ten times" in text for text in texts)

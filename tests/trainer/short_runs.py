"""Runs of five steps with a state after each, and how they are stopped and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dreambooth_nodes.trainer.events import Event, Step
from dreambooth_nodes.trainer.files.safetensors import read_tensors
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.sampling.class_priors import ClassPriors
from dreambooth_nodes.trainer.subject.subject import Subject

STEPS, DEATH = 5, 3
AT_EVERY_STEP = 1e-9
NewBase = Callable[[], Base]


def request_of(subject: Subject, class_priors: ClassPriors) -> Request:
    options = TrainOptions(
        steps=STEPS, sample_count=0, precision="fp32", rank=2, schedule="cosine", warmup_steps=1,
        learning_rate=1e-3, state_seconds=AT_EVERY_STEP,
    )  # fmt: skip
    return Request(subject=subject, identifier="ohwx", options=options, name="dog", priors=class_priors)


def other(store: Store, name: str) -> Store:
    folder = store.work.parent.parent / name
    return Store(folder / "loras", folder / "checkpoints", folder / "dreambooth")


def stopped_after(steps: int) -> tuple[Callable[[Event], None], Callable[[], bool]]:
    done: list[int] = []
    return lambda event: done.append(1) if isinstance(event, Step) else None, lambda: len(done) >= steps


def with_options(request: Request, **changes: Any) -> Request:
    return replace(request, options=replace(request.options, **changes))


def same_weights(one: Path, another: Path) -> bool:
    first, second = read_tensors(one), read_tensors(another)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)

"""The training loop. All inputs of a step are ready before it starts, so that it never waits for the device."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..events import Stop, Tell, Warned
from ..memory.levers import difference_in_words, smaller
from ..out_of_memory import is_out_of_memory
from .divergence import STEPS_TO_MOVE, standing_still
from .loss import Losses
from .loss_curve import LossCurve
from .step import Training

FIXED_IMAGES, FIXED_SEED = 8, -1
"""The number of images and the seed of the loss on fixed noise, by which `standing_still` judges."""


def train(training: Training, curve: LossCurve, tell: Tell, stop: Stop, after_step: Callable[[int], None]) -> None:
    """Train the steps that `curve` does not have yet, until all are done or `stop` returns True; losses are added to
    `curve`.

    after_step: called with the number of steps done, for samples and saves.
    """
    steps, judged = training.options.steps, STEPS_TO_MOVE + training.options.warmup_steps
    before = _fixed_loss(training) if not curve.points and judged <= steps else None
    for index in range(len(curve.points), steps):
        if stop():
            break
        rate = training.schedule.get_last_lr()[0]
        losses = _step_that_fits(training, index, tell)
        curve.add(losses, training.gradient_norm, rate)
        if before is not None and index + 1 == judged:
            _warn_if_still(before, training, judged, tell)
        after_step(index + 1)
    curve.flush()


def _step_that_fits(training: Training, index: int, tell: Tell) -> Losses:
    """The losses of one optimizer step; where memory runs out and `fit_memory` allows it, the same step is repeated
    with options that need less.
    """
    while True:
        try:
            return training.step(index)
        except RuntimeError as error:
            less = smaller(training.options) if training.options.fit_memory and is_out_of_memory(error) else None
            # A step that has begun to change the weights cannot be repeated.
            if less is None or not training.whole:
                raise
        # Outside the handler: the error's traceback refers to the step's activations.
        training.optimizer.zero_grad(set_to_none=True)
        tell(Warned(f"Memory ran out at step {index + 1}; {difference_in_words(training.options, less)}."))
        training.fit(less)
        if training.device.type == "cuda":
            torch.cuda.empty_cache()


def _fixed_loss(training: Training) -> Tensor:
    """The mean instance loss of the model as it is, on the same noise and timesteps at every call."""
    forwards = range(math.ceil(FIXED_IMAGES / training.batches.batch_size))
    fixed = replace(training.batches, prior=None, seed=FIXED_SEED)
    return torch.stack([training.losses_of(fixed[i]).instance for i in forwards]).mean()


def _warn_if_still(before: Tensor, training: Training, steps: int, tell: Tell) -> None:
    """Warn where the loss on fixed noise has hardly changed since `before`."""
    rate = training.options.learning_rate
    if warning := standing_still(float(before), float(_fixed_loss(training)), steps, rate):
        tell(Warned(warning))

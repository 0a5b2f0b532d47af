"""The training loop. All inputs of a step are ready before it starts, so that it never waits for the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ..events import Stop, Tell, Warned
from ..memory.levers import difference_in_words, less_memory
from ..options import TrainOptions
from ..out_of_memory import is_out_of_memory
from .divergence import STEPS_TO_MOVE, no_progress_warning
from .loss import Losses
from .loss_curve import LossCurve
from .optimizer import rate_in_use
from .step import Training

FIXED_IMAGES, FIXED_SEED = 8, -1
"""The number of images and the seed of the loss on fixed noise, by which `no_progress_warning` judges."""


def train(training: Training, curve: LossCurve, tell: Tell, stop: Stop, after_step: Callable[[int], None]) -> None:
    """Train the steps that are not done yet, until all are done or `stop` returns True in any rank; losses are added to
    `curve` in the first one.

    after_step: called with the number of steps done, for samples and saves.
    """
    ranks, steps = training.ranks, training.options.steps
    judged = STEPS_TO_MOVE + training.options.warmup_steps
    if ranks.several and not ranks.sharded:
        _fit_all_ranks(training, tell)
    if not training.done and judged <= steps:
        _add_fixed_loss(training, curve)
    while training.done < steps and not ranks.any(stop()):
        rate = rate_in_use(training.optimizer)
        losses = _step_that_fits(training, training.done, tell)
        ranks.decided(partial(curve.add, losses, training.gradient_norm, rate))
        if curve.fixed and training.done == judged:
            _add_fixed_loss(training, curve)
            _warn_without_progress(curve.fixed, training, tell)
        after_step(training.done)
    ranks.decided(curve.flush)
    if curve.fixed and curve.fixed[-1][0] < training.done == steps:
        _add_fixed_loss(training, curve)


def _step_that_fits(training: Training, index: int, tell: Tell) -> Losses:
    """The losses of one optimizer step; where memory runs out and `fit_memory` allows it, the same step is repeated
    with options that need less.
    """
    while True:
        try:
            return training.step(index)
        except RuntimeError as error:
            less = None if training.ranks.several else _less_memory(training, error)
            # A step that has begun to change the weights cannot be repeated.
            if less is None or not training.weights_consistent:
                raise
        # Outside the handler: the error's traceback refers to the step's activations.
        tell(Warned(f"Memory ran out at step {index + 1}; {difference_in_words(training.options, less)}."))
        _release_and_fit(training, less)


def _fit_all_ranks(training: Training, tell: Tell) -> None:
    """Compute the next step's gradients once without exchanging them, so that a rank that has too little memory is
    noticed by all: within an exchange it could not tell the others.

    Raises FailedElsewhere and what the computation raises.
    """
    while True:
        try:
            with training.ranks.unsynchronised(training.prepared):
                training.ranks.attempt(lambda: training.gradients(training.done))
            less = None
        except RuntimeError as error:
            if (less := _less_memory(training, error)) is None:
                raise
        if less is None:
            return training.optimizer.zero_grad(set_to_none=True)
        tell(Warned(f"Memory ran out in a process; {difference_in_words(training.options, less)}."))
        _release_and_fit(training, less)


def _less_memory(training: Training, error: RuntimeError) -> TrainOptions | None:
    """Options that need less memory, where memory ran out and `fit_memory` allows them."""
    return less_memory(training.options) if training.options.fit_memory and is_out_of_memory(error) else None


def _release_and_fit(training: Training, options: TrainOptions) -> None:
    """Release the gradients of a step that did not fit, and continue with these options."""
    training.optimizer.zero_grad(set_to_none=True)
    training.fit(options)
    if training.device.type == "cuda":
        torch.cuda.empty_cache()


def _fixed_loss(training: Training) -> Tensor:
    """The mean instance loss of the model as it is, on the same noise and timesteps at every call."""
    forwards = range(math.ceil(FIXED_IMAGES / training.options.batch_size))
    fixed = replace(training.batches, prior=None, seed=FIXED_SEED, accumulation=1)
    return torch.stack([training.losses_of(fixed[i]).instance for i in forwards]).mean()


def _add_fixed_loss(training: Training, curve: LossCurve) -> None:
    """Add the loss on fixed noise after the steps done so far to the curve."""
    curve.fixed.append((training.done, float(_fixed_loss(training))))


def _warn_without_progress(fixed: Sequence[tuple[int, float]], training: Training, tell: Tell) -> None:
    """Warn where the loss on fixed noise has hardly changed. fixed: (steps done, that loss), the newest last."""
    (_, before), (steps, after) = fixed[0], fixed[-1]
    rate = rate_in_use(training.optimizer)
    if warning := no_progress_warning(before, after, steps, rate):
        tell(Warned(warning))

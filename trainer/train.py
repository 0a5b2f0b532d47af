"""The loop. Everything that a step needs is ready before it starts; nothing waits for the device in it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .base import Base
from .batches import Batch, Batches
from .denoiser import Losses, dreambooth_loss
from .encoded import EncodedPrompts
from .events import Step, Stop, Tell
from .optimizer import make_optimizer, make_schedule
from .options import TrainOptions
from .precision import attention_for, autocast, cast_frozen, forward_dtype

SECONDS_BETWEEN_REPORTS = 0.25


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number."""


@dataclass
class Training:
    """A run in progress: `step` does one optimizer step on a base whose method is attached."""

    base: Base
    batches: Batches
    prompts: EncodedPrompts
    options: TrainOptions

    def __post_init__(self) -> None:
        self.device = self.base.device
        self.dtype = forward_dtype(self.options.precision, self.device)
        self.optimizer = make_optimizer(self.base, self.options)
        self.schedule = make_schedule(self.optimizer, self.options)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self.dtype is not None:
            cast_frozen(self.base.denoiser, self.dtype)
        if self.options.checkpointing:
            self.base.denoiser.enable_gradient_checkpointing()

    def step(self, index: int) -> Losses:
        """The `index`-th optimizer step, 0 or more; its losses, detached and still on the device."""
        forwards = self.options.accumulation
        parts = [self._accumulate(self.batches[index * forwards + i], 1 / forwards) for i in range(forwards)]
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.options.max_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return _mean(parts)

    def _accumulate(self, batch: Batch, share: float) -> Losses:
        # Around the backward as well: checkpointing runs the forward again there.
        with attention_for(batch.instance.x):
            losses = self._losses(batch)
            self.scaler.scale(losses.total * share).backward()
        return losses

    def _losses(self, batch: Batch) -> Losses:
        with autocast(self.dtype, self.device):
            conditioning = self.prompts.rows(self.base, batch.prompts) | batch.frames
            return dreambooth_loss(
                lambda z, t: self.base.predict(z, t, conditioning),
                self.base.process,
                batch.instance,
                batch.prior,
                self.options.prior_weight,
                self.options.snr_gamma,
            )


@dataclass
class LossCurve:
    """Losses as they come, read from the device a few at a time, told and kept."""

    steps: int
    tell: Tell
    device: torch.device
    points: list[Step] = field(default_factory=list)
    _waiting: list[tuple[Tensor, float]] = field(default_factory=list)
    _began: float = field(default_factory=time.perf_counter)
    _reported: float = 0.0

    def add(self, losses: Losses, learning_rate: float) -> None:
        """Keep one step's losses; tell them now and then, on a CPU at once."""
        prior = torch.full_like(losses.instance, math.nan) if losses.prior is None else losses.prior
        self._waiting.append((torch.stack([losses.instance, prior]).detach(), learning_rate))
        due = time.perf_counter() - self._reported > SECONDS_BETWEEN_REPORTS
        if due or self.device.type == "cpu":
            self.flush()

    def flush(self) -> None:
        """Read what waits on the device and tell it. Raises TrainingDiverged on a loss that is no number."""
        if not self._waiting:
            return
        rows = torch.stack([losses for losses, _ in self._waiting]).float().tolist()
        rates = [rate for _, rate in self._waiting]
        self._waiting.clear()
        self._reported = time.perf_counter()
        for (instance, prior), rate in zip(rows, rates, strict=True):
            self._tell(instance, prior, rate)

    def _tell(self, instance: float, prior: float, rate: float) -> None:
        step = len(self.points) + 1
        if not math.isfinite(instance):
            raise TrainingDiverged(
                f"The loss is {instance} at step {step}: the learning rate {rate:g} is likely too high "
                "for this model; try a tenth of it."
            )
        speed = (step + len(self._waiting)) / (self._reported - self._began)
        left = (self.steps - step) / speed
        point = Step(step, self.steps, instance, None if math.isnan(prior) else prior, rate, speed, left)
        self.points.append(point)
        self.tell(point)


def train(training: Training, curve: LossCurve, stop: Stop, after_step: Callable[[int], None]) -> None:
    """All steps of a run, or those before `stop` said True; losses go into `curve`.

    after_step: called with the number of steps done, for samples and saves.
    """
    for index in range(training.options.steps):
        if stop():
            break
        rate = training.schedule.get_last_lr()[0]
        curve.add(training.step(index), rate)
        after_step(index + 1)
    curve.flush()


def _mean(parts: list[Losses]) -> Losses:
    if len(parts) == 1:
        return parts[0]
    instance = torch.stack([p.instance for p in parts]).mean()
    total = torch.stack([p.total for p in parts]).mean()
    priors = [p.prior for p in parts if p.prior is not None]
    return Losses(instance, torch.stack(priors).mean() if priors else None, total)

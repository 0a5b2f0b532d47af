"""A training in progress: the optimizer step, and losses without a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..distributed.ranks import SINGLE_PROCESS, Ranks
from ..distributed.sharding import full_tensor
from ..options import TrainOptions
from .adafactor import Adafactor
from .averages import MovingAverage, weights_to_use
from .fused_backward import FusedBackward
from .gradient_clipping import clip_gradients
from .loss import Losses
from .optimizer import make_optimizer, make_schedule

FITTED = ("checkpointing", "batch_size", "accumulation")
"""The options that `Training.fit` changes."""


AroundUpdate = Callable[[int], None]
"""A function of a step's index, 0 or more."""


def nothing(index: int) -> None:
    """Leave gradients and weights as they are."""


class Objective(nn.Module):
    """What a training minimises: a module that holds the trained parameters, and whose forward takes a batch and
    returns what it adds to the step's loss terms, as `Losses.stacked`.

    dtype: of autocast, None for float32.
    """

    dtype: torch.dtype | None = None

    def enable_checkpointing(self) -> None:
        """Recompute activations in the backward pass; without effect where a model cannot."""


class Source(Protocol):
    """The batches of each step, for an objective that understands them; a dataclass with these fields among others.

    batch_size: of this process. accumulation: batches of a step.
    """

    batch_size: int
    accumulation: int

    def __getitem__(self, index: int) -> Sequence[Any]:
        """The forward passes of the step of this index, 0 or more."""


@dataclass
class Training:
    """The training of an objective's parameters on a source of batches; `step` does one optimizer step.

    groups: the optimizer's, each with its learning rate. gradient_norm: of the last step, before clipping; a scalar on
    the device. weights_consistent: False while a step changes the weights, and after one that was interrupted then.
    done: optimizer steps. average: of the trained weights over the steps, where the options ask for it. to_use: the
    weights for samples, scores and files. options: of this process; batches: this process's share. before_update,
    after_update: what a method does with gradients, and with weights, of the step of an index.
    """

    objective: Objective
    groups: list[dict[str, Any]]
    batches: Any
    options: TrainOptions
    device: torch.device
    ranks: Ranks = SINGLE_PROCESS
    before_update: AroundUpdate = nothing
    after_update: AroundUpdate = nothing

    def __post_init__(self) -> None:
        self.optimizer = make_optimizer(self.groups, self.options, self.device)
        self.prepared = self.ranks.prepared(self.objective, self.optimizer)
        self.schedule = make_schedule(self.optimizer, self.options)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.objective.dtype == torch.float16)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        decay = self.options.ema_decay
        self.average = MovingAverage(self.parameters, decay) if decay else None
        self.to_use = weights_to_use(self.parameters, self.optimizer, self.average)
        self.gradient_norm = torch.zeros((), device=self.device)
        self.weights_consistent = True
        self.done = 0
        self.fused = None
        if self.options.fused_backward:
            assert isinstance(self.optimizer, Adafactor)
            self.fused = FusedBackward(self.optimizer, self.options.max_grad_norm)
        self.fit(self.options)

    @property
    def named_parameters(self) -> dict[str, nn.Parameter]:
        """{component.name: parameter} of all trained weights, in the optimizer's order."""
        names = {id(parameter): name for name, parameter in self.objective.named_parameters()}
        return {names[id(parameter)]: parameter for parameter in self.parameters}

    def fit(self, options: TrainOptions) -> None:
        """Continue with the batch size, accumulation and checkpointing of `options`."""
        self.options = options
        self.batches = replace(self.batches, batch_size=options.batch_size, accumulation=options.accumulation)
        if options.checkpointing:
            self.objective.enable_checkpointing()

    def step(self, index: int) -> Losses:
        """Do the optimizer step of this index, 0 or more; returns its losses, averaged over all ranks, still on the
        device. In fp16 a step whose gradients overflow is counted and changes no weight.

        Raises ProcessLost where another rank is lost.
        """
        self.weights_consistent = self.fused is None
        with self.ranks.exchanging():
            terms = self.ranks.mean(self.gradients(index))
            self.before_update(index)
            self.weights_consistent = False
            self.gradient_norm = self._clip_gradients() if self.fused is None else self.fused.norm()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.after_update(index)
        if self.average is not None:
            self.average.update(index + 1)
        self.optimizer.zero_grad(set_to_none=True)
        self.weights_consistent = True
        self.done = index + 1
        return Losses.of(terms)

    def gradients(self, index: int) -> Tensor:
        """The loss terms of one step (`Losses.stacked`), whose gradients are added up and averaged over all ranks."""
        *first, last = self.batches[index]
        if not first:
            return self._backward(last)
        with self.ranks.unsynchronised(self.prepared):
            terms = [self._backward(batch) for batch in first]
        return torch.stack([*terms, self._backward(last)]).sum(0)

    def losses(self, index: int) -> Losses:
        """The losses of the step of this index by the model as it is; nothing is trained."""
        return self.losses_of(self.batches[index])

    @torch.no_grad()
    def losses_of(self, batches: Sequence[Any]) -> Losses:
        """The losses of the model as it is on the forward passes of a step; nothing is trained."""
        return Losses.of(torch.stack([self.prepared(batch) for batch in batches]).sum(0))

    def _backward(self, batch: Any) -> Tensor:
        """The loss terms of one forward pass, whose gradients are added."""
        terms: Tensor = self.prepared(batch)
        self.scaler.scale(Losses.of(terms).total).backward()
        return terms.detach()

    def _clip_gradients(self) -> Tensor:
        """Clip the gradients; returns their norm before clipping."""
        self.scaler.unscale_(self.optimizer)
        return full_tensor(clip_gradients(self.parameters, self.options.max_grad_norm, self.optimizer))

"""A training in progress: the optimizer step, and losses without a step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..distributed.processes import ALONE, Processes
from ..distributed.sharding import in_one_piece, shard
from ..memory.prepare_weights import prepare_weights
from ..methods.protocol import trained_components
from ..model.base import Base
from ..model.cpu_kernels import use_cpu_kernels
from ..model.precision import autocast, forward_dtype
from ..options import TrainOptions
from .adafactor import Adafactor
from .batches import Batch, Batches
from .encoded import EncodedPrompts
from .fused_backward import FusedBackward
from .gradient_clipping import clip_gradients
from .loss import Losses, dreambooth_loss
from .optimizer import make_optimizer, make_schedule

FITTED = ("checkpointing", "batch_size", "accumulation")
"""The options that `Training.fit` changes."""


@dataclass
class Training:
    """The training of a base whose method is attached; `step` does one optimizer step.

    gradient_norm: of the last step, before clipping; a scalar on the device. whole: False while a step changes the
    weights, and after one that was interrupted then. options: of this process; batches: this process's share.
    """

    base: Base
    batches: Batches
    prompts: EncodedPrompts
    options: TrainOptions
    processes: Processes = ALONE

    def __post_init__(self) -> None:
        self.device = self.base.device
        self.dtype = forward_dtype(self.options.precision, self.device)
        prepare_weights(self.base, self.options, self.dtype)
        use_cpu_kernels(self.base.denoiser, self.batches[0].instance.x)
        if self.processes.sharded:
            for module in trained_components(self.base, self.options).values():
                shard(module, self.device, self.dtype)
        self.optimizer = make_optimizer(self.base, self.options)
        self.schedule = make_schedule(self.optimizer, self.options)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.gradient_norm = torch.zeros((), device=self.device)
        self.whole = True
        self.fused = None
        if self.options.fused_backward:
            assert isinstance(self.optimizer, Adafactor)
            self.fused = FusedBackward(self.optimizer, self.options.max_grad_norm)
        self.fit(self.options)

    def fit(self, options: TrainOptions) -> None:
        """Continue with the batch size, accumulation and checkpointing of `options`, in all processes."""
        self.processes.order("fit", **{name: getattr(options, name) for name in FITTED})
        self.options = options
        self.batches = replace(self.batches, batch_size=options.batch_size)
        if options.checkpointing:
            self.base.denoiser.enable_gradient_checkpointing()

    def step(self, index: int) -> Losses:
        """Do the optimizer step of this index, 0 or more; returns its losses, still on the device."""
        self.processes.order("step", index=index)
        self.whole = self.fused is None
        losses = self.processes.attempt(lambda: self._gradients(index))
        self.whole = False
        self.processes.average([*self._own_gradients(), *losses.distinct])
        self.gradient_norm = self._cut_gradients() if self.fused is None else self.fused.norm()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.whole = True
        return losses

    def _own_gradients(self) -> list[torch.Tensor]:
        """The gradients to be averaged over processes; in a sharded model none, because its backward pass averages
        them.
        """
        return [] if self.processes.sharded else [p.grad for p in self.parameters if p.grad is not None]

    def _cut_gradients(self) -> torch.Tensor:
        """Clip the gradients; returns their norm before clipping."""
        self.scaler.unscale_(self.optimizer)
        return in_one_piece(clip_gradients(self.parameters, self.options.max_grad_norm, self.optimizer))

    def next_losses(self, index: int) -> Losses:
        """The losses of the first batch of the step of this index; nothing is trained."""
        return self.losses_of(self.batches[index * self.options.accumulation])

    @torch.no_grad()
    def losses_of(self, batch: Batch) -> Losses:
        """The losses of the model as it is on a batch; nothing is trained."""
        if self.processes.sharded:
            self.processes.order("forward")
        return self._losses(batch)

    def _gradients(self, index: int) -> Losses:
        """The mean losses of one step's batches, whose gradients are accumulated."""
        forwards = self.options.accumulation
        return _mean([self._accumulate(self.batches[index * forwards + i], 1 / forwards) for i in range(forwards)])

    def _accumulate(self, batch: Batch, share: float) -> Losses:
        """The losses of one batch, whose gradients are added, multiplied by `share`."""
        losses = self._losses(batch)
        self.scaler.scale(losses.total * share).backward()
        return losses

    def _losses(self, batch: Batch) -> Losses:
        """The losses of one batch, in the forward's dtype."""
        with autocast(self.dtype, self.device):
            conditioning = self.prompts.rows(self.base, batch.prompts) | batch.frames
            return dreambooth_loss(
                lambda z, t: self.base.predict(z, t, conditioning),
                self.base.noise_process,
                batch.instance,
                batch.prior,
                self.options.prior_weight,
                self.options.snr_gamma,
            )


def _mean(parts: list[Losses]) -> Losses:
    """The mean of the losses of several batches."""
    if len(parts) == 1:
        return parts[0]
    instance = torch.stack([p.instance for p in parts]).mean()
    priors = [p.prior for p in parts if p.prior is not None]
    if not priors:
        return Losses(instance, None, instance)
    return Losses(instance, torch.stack(priors).mean(), torch.stack([p.total for p in parts]).mean())

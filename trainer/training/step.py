"""A run in progress: one optimizer step, and the losses of the model as it is."""

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
"""What `Training.fit` changes."""


@dataclass
class Training:
    """`step` does one optimizer step on a base whose method is attached.

    gradient_norm: of the last step, before it was cut; a scalar on the device. whole: False where a step was
    interrupted while it changed the weights. options: of this process; batches: its share.
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
        """Go on with the batches and the checkpointing of `options`."""
        self.processes.order("fit", **{name: getattr(options, name) for name in FITTED})
        self.options = options
        self.batches = replace(self.batches, batch_size=options.batch_size)
        if options.checkpointing:
            self.base.denoiser.enable_gradient_checkpointing()

    def step(self, index: int) -> Losses:
        """The `index`-th optimizer step, 0 or more; its losses, detached and still on the device."""
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
        """What is not averaged yet; a sharded model's gradients are, by its backward."""
        return [] if self.processes.sharded else [p.grad for p in self.parameters if p.grad is not None]

    def _cut_gradients(self) -> torch.Tensor:
        self.scaler.unscale_(self.optimizer)
        return in_one_piece(clip_gradients(self.parameters, self.options.max_grad_norm, self.optimizer))

    def next_losses(self, index: int) -> Losses:
        """The losses that the `index`-th step begins with; nothing is trained."""
        return self.losses_of(self.batches[index * self.options.accumulation])

    @torch.no_grad()
    def losses_of(self, batch: Batch) -> Losses:
        """The losses of the model as it is; nothing is trained."""
        if self.processes.sharded:
            self.processes.order("forward")
        return self._losses(batch)

    def _gradients(self, index: int) -> Losses:
        forwards = self.options.accumulation
        return _mean([self._accumulate(self.batches[index * forwards + i], 1 / forwards) for i in range(forwards)])

    def _accumulate(self, batch: Batch, share: float) -> Losses:
        losses = self._losses(batch)
        self.scaler.scale(losses.total * share).backward()
        return losses

    def _losses(self, batch: Batch) -> Losses:
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
    if len(parts) == 1:
        return parts[0]
    instance = torch.stack([p.instance for p in parts]).mean()
    priors = [p.prior for p in parts if p.prior is not None]
    if not priors:
        return Losses(instance, None, instance)
    return Losses(instance, torch.stack(priors).mean(), torch.stack([p.total for p in parts]).mean())

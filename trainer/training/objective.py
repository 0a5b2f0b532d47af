"""What a training minimises: the loss of one forward pass, as a module that holds the trained components."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..methods.protocol import Method
from ..model.base import Conditioning, Model
from ..model.precision import autocast
from ..options import TrainOptions
from .batches import Batch
from .encoded import EncodedPrompts
from .loss import Losses, dreambooth_loss, with_change
from .step import Objective

STAYS_CLOSE = ("stay close to the base", "stay close to the base, by factors")
"""The priors that are a term of the weights alone."""


class DreamBoothObjective(Objective):
    """The two-term DreamBooth loss of a model on a `Batch`.

    A module, so that DDP and FSDP see one forward from a batch to its loss. method: trains the model. components:
    {name: module} of those that hold trained weights. dtype: of the forward, None for float32.
    """

    def __init__(
        self,
        base: Model,
        method: Method[Any],
        components: Mapping[str, nn.Module],
        prompts: EncodedPrompts,
        options: TrainOptions,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        for name, module in components.items():
            self.add_module(name, module)
        self.base, self.method, self.prompts, self.dtype = base, method, prompts, dtype
        self.prior, self.prior_weight, self.snr_gamma = options.prior_in_use, options.prior_weight, options.snr_gamma

    def forward(self, batch: Batch) -> Tensor:
        """What this batch adds to the step's loss terms (`Losses.stacked`): one tensor, as FSDP's hooks require."""
        with autocast(self.dtype, self.base.device):
            conditioning = self.prompts.rows(self.base, batch.prompts) | batch.frames
            losses = dreambooth_loss(
                lambda z, t: self.base.predict(z, t, conditioning),
                self.base.noise_process,
                batch.instance,
                batch.prior,
                self.prior_weight,
                self.snr_gamma,
                partial(self._base_answer, batch) if self.prior == "compare with the base" else None,
            )
        return self._with_prior(losses, batch).stacked

    def _with_prior(self, losses: Losses, batch: Batch) -> Losses:
        """The losses with the term of the weights, where that is the prior."""
        if self.prior not in STAYS_CLOSE:
            return losses
        change = self.method.squared_change(self.base, by_factors=self.prior == STAYS_CLOSE[1])
        share = 0.0 if batch.instance is None else batch.instance.share
        return with_change(losses, change, self.prior_weight, share)

    @torch.no_grad()
    def _base_answer(self, batch: Batch, z: Tensor, timesteps: Tensor) -> Tensor:
        """The base's prediction for the prior examples of a batch, which come last in it.

        Within one autocast it has to follow the trained model's: weights that were cast without gradients would be used
        again.
        """
        count = len(z)
        with self.method.untrained(self.base) as base:
            prompted = self.prompts.rows(base, batch.prompts[-count:])
            frames: Conditioning = {name: rows[-count:] for name, rows in batch.frames.items()}
            return base.predict(z, timesteps, prompted | frames)

    def enable_checkpointing(self) -> None:
        """Recompute the denoiser's activations in the backward pass."""
        self.base.enable_checkpointing()

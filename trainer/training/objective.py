"""What a training minimises: the loss of one forward pass, as a module that holds the trained components."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..model.base import Model
from ..model.precision import autocast
from ..options import TrainOptions
from .batches import Batch
from .encoded import EncodedPrompts
from .loss import dreambooth_loss
from .step import Objective


class DreamBoothObjective(Objective):
    """The two-term DreamBooth loss of a model on a `Batch`.

    A module, so that DDP and FSDP see one forward from a batch to its loss. components: {name: module} of those that
    hold trained weights. dtype: of the forward, None for float32.
    """

    def __init__(
        self,
        base: Model,
        components: Mapping[str, nn.Module],
        prompts: EncodedPrompts,
        options: TrainOptions,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        for name, module in components.items():
            self.add_module(name, module)
        self.base, self.prompts, self.dtype = base, prompts, dtype
        self.prior_weight, self.snr_gamma = options.prior_weight, options.snr_gamma

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
            )
        return losses.stacked

    def enable_checkpointing(self) -> None:
        """Recompute the denoiser's activations in the backward pass."""
        self.base.enable_checkpointing()

"""What a predictor's training minimises: the denoising loss alone, the base being frozen (InstantBooth, eq. 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..model.base import Conditioning
from ..model.noise_process import NoiseProcess
from ..model.precision import autocast
from ..training.loss import Losses, min_snr_weight, squared_error
from ..training.step import Objective
from .predictor import Predictor
from .prompts import Prompted


@dataclass(frozen=True)
class SubjectPairs:
    """B pairs: photos of a subject, and another picture of it.

    photos: [B, n, 3, H, W] in -1..1. x: the other picture's latents [B, C, h, w], with noise of their shape and
    timesteps [B]. prompts: of the other picture, with [V] for the subject. nouns: its class noun. frames: the
    conditioning on sizes and crops, empty in most families.
    """

    photos: Tensor
    x: Tensor
    noise: Tensor
    timesteps: Tensor
    prompts: Sequence[str]
    nouns: Sequence[str]
    frames: Conditioning


class PredictorObjective(Objective):
    """The denoising loss of a `SubjectPairs` batch, ‖ε − ε_θ(z_t, t, c([V]), f)‖², with [V] and f predicted from its
    photos. Holds the predictor's weights, and none of the base's.

    denoiser: the UNet that gets the adapters. dtype: of the forward, None for float32.
    """

    def __init__(
        self,
        predictor: Predictor,
        denoiser: nn.Module,
        prompted: Prompted,
        process: NoiseProcess,
        snr_gamma: float | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.predictor, self.dtype = predictor, dtype
        # not as a submodule: its weights are not trained
        self._denoiser = (denoiser,)
        self._prompted, self._process, self._snr_gamma = prompted, process, snr_gamma

    def forward(self, batch: SubjectPairs) -> Tensor:
        """`Losses.stacked` of the batch."""
        error = self.errors(batch)
        if self._snr_gamma is not None:
            error = error * min_snr_weight(self._process, batch.timesteps, self._snr_gamma)
        loss = error.mean()
        return Losses(loss, None, loss).stacked

    def errors(self, batch: SubjectPairs) -> Tensor:
        """The mean squared error of the prediction for each pair [B], without min-SNR weights."""
        with autocast(self.dtype, batch.x.device), self.predictor.attached(self._denoiser[0]) as shown:
            concept = self.predictor.encoder(batch.photos, self._prompted.nouns(batch.nouns))
            shown.patches = concept.patches
            conditioning = self._prompted.conditioning(batch.prompts, concept.words) | batch.frames
            return self._errors(batch, conditioning)

    @torch.no_grad()
    def errors_of_base(self, batch: SubjectPairs, prompts: Sequence[str]) -> Tensor:
        """The mean squared error of the base itself for each pair [B], with other prompts, without [V]."""
        with autocast(self.dtype, batch.x.device):
            words = {name: rows[:, None] for name, rows in self._prompted.nouns(batch.nouns).items()}
            return self._errors(batch, self._prompted.conditioning(prompts, words) | batch.frames)

    def _errors(self, batch: SubjectPairs, conditioning: Conditioning) -> Tensor:
        noisy = self._process.add_noise(batch.x, batch.noise, batch.timesteps)
        answer = self._prompted.predict(noisy, batch.timesteps, conditioning)
        return squared_error(answer, self._process.target(batch.x, batch.noise, batch.timesteps), None)


GATE_RATE = 10
"""The learning rate of the gates, which start at 0, as a multiple of the other weights'."""


def parameter_groups(predictor: Predictor, rate: float) -> list[dict[str, Any]]:
    """The optimizer's groups: encoder and adapters at a rate, the gates at GATE_RATE times that, without decay."""
    gates = [adapter.gate for adapter in predictor.adapters.values()]
    rest = [parameter for parameter in predictor.parameters() if parameter.ndim]
    return [{"params": rest, "lr": rate}, {"params": gates, "lr": GATE_RATE * rate, "weight_decay": 0.0}]

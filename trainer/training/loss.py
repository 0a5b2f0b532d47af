"""The two-term DreamBooth loss (Ruiz et al., CVPR 2023, section 3.3).

With x an image's latents, ε ~ N(0, I) and t a timestep, the noisy latents are

    z_t = α_t·x + σ_t·ε                                         (variance preserving: α_t² + σ_t² = 1)

and the paper minimises

    w_t·‖x̂(z_t, c) − x‖²  +  λ·w_t'·‖x̂(z'_t', c_pr) − x_pr‖².

For a denoiser that predicts ε, the squared error of ε is a term of this loss with w_t = α_t²/σ_t²; for one that
predicts v = α_t·ε − σ_t·x, the squared error of v is one with w_t = 1 + α_t²/σ_t². So the error of the prediction is
minimised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.noise_process import NoiseProcess


@dataclass(frozen=True)
class Examples:
    """The instance or prior examples of one step, with first dimension B.

    x: latents [B, C, h, w]; noise: in the same shape; timesteps: [B]; mask: [B, 1, h, w] in 0..1, or None.
    """

    x: Tensor
    noise: Tensor
    timesteps: Tensor
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Losses:
    """The loss terms of one step, scalars on the device. prior: before λ; None without priors. total: instance +
    λ·prior.
    """

    instance: Tensor
    prior: Tensor | None
    total: Tensor

    @property
    def distinct(self) -> list[Tensor]:
        """Each distinct scalar once: without priors the total is the instance term itself."""
        return [self.instance] if self.prior is None else [self.instance, self.prior, self.total]


def min_snr_weight(process: NoiseProcess, timesteps: Tensor, gamma: float) -> Tensor:
    """The weight of min-SNR weighting, min(SNR, γ) on ‖x̂ − x‖², for the error of the prediction [B] (Hang et al.,
    2023): min(SNR, γ)/SNR for ε, min(SNR, γ)/(SNR + 1) for v.
    """
    return process.signal_to_noise(timesteps).clamp(max=gamma) * process.image_error(timesteps)


def squared_error(prediction: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
    """The mean squared error of each image [B], in float32; with a mask [B, 1, h, w] the mean weighted by it."""
    error = (prediction.float() - target.float()).pow(2)
    if mask is None:
        return error.mean(dim=(1, 2, 3))
    return (error * mask).sum(dim=(1, 2, 3)) / (mask.sum(dim=(1, 2, 3)) * error.shape[1])


def dreambooth_loss(
    predict: Callable[[Tensor, Tensor], Tensor],
    process: NoiseProcess,
    instance: Examples,
    prior: Examples | None,
    prior_weight: float,
    snr_gamma: float | None = None,
) -> Losses:
    """The loss terms, from one forward of the denoiser over instance and prior images together.

    predict: (z_t [B, C, h, w], t [B]) → prediction [B, C, h, w], instance images first. prior_weight: λ ≥ 0. snr_gamma:
    γ of min-SNR weighting, or None for a weight of 1.
    """
    halves = [instance] if prior is None else [instance, prior]
    z = torch.cat([process.add_noise(h.x, h.noise, h.timesteps) for h in halves])
    answers = predict(z, torch.cat([h.timesteps for h in halves])).split([len(h) for h in halves])
    terms = []
    for half, answer in zip(halves, answers, strict=True):
        error = squared_error(answer, process.target(half.x, half.noise, half.timesteps), half.mask)
        if snr_gamma is not None:
            error = error * min_snr_weight(process, half.timesteps, snr_gamma)
        terms.append(error.mean())
    if prior is None:
        return Losses(terms[0], None, terms[0])
    return Losses(terms[0], terms[1], terms[0] + prior_weight * terms[1])

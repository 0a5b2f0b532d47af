"""The two-term DreamBooth loss (Ruiz et al., CVPR 2023, section 3.3).

With x an image's latents, ε ~ N(0, I) and t a timestep, the noisy latents are

    z_t = α_t·x + σ_t·ε                                         (variance preserving: α_t² + σ_t² = 1)

and the paper minimises

    w_t·‖x̂(z_t, c) − x‖²  +  λ·w_t'·‖x̂(z'_t', c_pr) − x_pr‖².

where c_pr is the class prompt and x_pr a class image. Two priors take no class images. "Compare with the base" puts the
base's own answer x̂₀ in the image's place, on the photos' latents:

    λ·w_t'·‖x̂(z'_t', c_pr) − x̂₀(z'_t', c_pr)‖²,

and "stay close to the base" penalises the change Δ of the weights, as a sum over all of them: λ·SCALE·‖Δ‖².

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
    """The instance or prior examples of one forward pass, with first dimension B.

    x: latents [B, C, h, w]; noise: in the same shape; timesteps: [B]; mask: [B, 1, h, w] in 0..1, or None. share: of
    all examples of its term in the step, above 0 and up to 1.
    """

    x: Tensor
    noise: Tensor
    timesteps: Tensor
    mask: Tensor | None = None
    share: float = 1.0

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Losses:
    """The loss terms of one step, or what one forward pass adds to them; scalars on the device. prior: before λ; None
    without priors. total: instance + λ·prior.
    """

    instance: Tensor
    prior: Tensor | None
    total: Tensor

    @property
    def stacked(self) -> Tensor:
        """The terms as one tensor [2 or 3]: instance, total and, where there is one, prior."""
        return torch.stack([self.instance, self.total, *([] if self.prior is None else [self.prior])])

    @classmethod
    def of(cls, stacked: Tensor) -> Losses:
        """The terms from such a tensor."""
        instance, total, *prior = stacked.unbind()
        return cls(instance, prior[0] if prior else None, total)


SCALE = 1e-4
"""The weight of ‖Δ‖² at λ = 1. A LoRA of Stable Diffusion's size changes its layers by a ‖Δ‖² of about 1 to 100."""


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
    instance: Examples | None,
    prior: Examples | None,
    prior_weight: float,
    snr_gamma: float | None = None,
    base_answer: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Losses:
    """The loss terms, from one forward of the denoiser over instance and prior images together; each term is multiplied
    by its examples' share of the step.

    predict: (z_t [B, C, h, w], t [B]) → prediction [B, C, h, w], instance images first. prior_weight: λ ≥ 0. snr_gamma:
    γ of min-SNR weighting, or None for a weight of 1. base_answer: the base's prediction for the prior examples, which
    is their target where it is given; it is called after `predict`.
    """
    halves = [half for half in (instance, prior) if half is not None]
    noisy = [process.add_noise(h.x, h.noise, h.timesteps) for h in halves]
    answers = predict(torch.cat(noisy), torch.cat([h.timesteps for h in halves])).split([len(h) for h in halves])
    targets = [process.target(half.x, half.noise, half.timesteps) for half in halves]
    if prior is not None and base_answer is not None:
        targets[-1] = base_answer(noisy[-1], prior.timesteps)
    parts = zip(halves, answers, targets, strict=True)
    terms = [_term(half, answer, target, process, snr_gamma) for half, answer, target in parts]
    if prior is None:
        return Losses(terms[0], None, terms[0])
    preservation = terms[-1]
    fidelity = torch.zeros_like(preservation) if instance is None else terms[0]
    return Losses(fidelity, preservation, fidelity + prior_weight * preservation)


def with_change(losses: Losses, squared_change: Tensor, prior_weight: float, share: float) -> Losses:
    """The losses with λ·SCALE·‖Δ‖² as the prior term. squared_change: ‖Δ‖², a sum over all trained weights. share: of
    the step's instance examples in this forward, so that the term counts once a step.
    """
    prior = SCALE * squared_change * share
    return Losses(losses.instance, prior, losses.instance + prior_weight * prior)


def _term(half: Examples, answer: Tensor, target: Tensor, process: NoiseProcess, snr_gamma: float | None) -> Tensor:
    """One term: the mean error of the prediction over its examples, weighted, times their share of the step."""
    error = squared_error(answer, target, half.mask)
    if snr_gamma is not None:
        error = error * min_snr_weight(process, half.timesteps, snr_gamma)
    return error.mean() * half.share

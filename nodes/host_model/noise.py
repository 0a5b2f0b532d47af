"""The noise process of a host's model, read from its `model_sampling`: z_t, the target and the timesteps.

Every known class answers affinely: x̂ = a(σ)·z + b(σ)·F, with F the network's output. So a and b are the values of the
class's own `calculate_denoised` at (F, z) = (0, 1) and (1, 0), and F = (x̂ − a·z)/b. A timestep is its noise level σ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PREDICTIONS = ("EPS", "V_PREDICTION", "V_PREDICTION_DDPM", "EDM", "X0", "CONST", "COSMOS_RFLOW")
"""The host's classes of answers that can be trained. IMG_TO_IMG answers from an image, and is not among them."""
TABLES = ("ModelSamplingDiscrete", "StableCascadeSampling")
"""The schedules whose levels are those of a table."""
FLOWS = ("ModelSamplingDiscreteFlow", "ModelSamplingFlux", "ModelSamplingCosmosRFlow")
"""The schedules of flows, from t in 0..1."""
CONTINUOUS = ("ModelSamplingContinuousEDM", "ModelSamplingContinuousV")
"""The schedules of all levels between two bounds."""
LOG_SIGMA = (-1.2, 1.2)
"""Mean and standard deviation of ln σ in the training of EDM (Karras et al., 2022, table 1)."""


def uniform(u: Tensor) -> Tensor:
    """t uniform in 0..1, as in diffusers' scripts for flows; the model's own shift follows."""
    return u


def logit_normal(u: Tensor) -> Tensor:
    """t with a logit that is normal (0, 1), from u ~ U[0, 1) (Esser et al., 2024, section 3.1)."""
    return torch.special.ndtri(u.double().clamp(1e-6, 1 - 1e-6)).sigmoid().to(u.dtype)


DENSITIES: dict[str, Callable[[Tensor], Tensor]] = {"uniform": uniform, "logit_normal": logit_normal}
"""{name: the density of a flow's t, as a function of u}."""
LOGIT_NORMAL_MODELS = ("SD3",)
"""The host's classes of models whose reference scripts draw t logit-normally; all others draw it uniformly."""


@dataclass(frozen=True)
class HostNoise:
    """The noise process of a `model_sampling` object. prediction, schedule: its classes, of those above. density: of a
    flow's t. table: the levels that the schedule lists, float32 on the CPU. A timestep is a noise level σ, float32 [B].
    """

    sampling: Any
    prediction: str
    schedule: str
    density: str
    table: Tensor

    def draw_timesteps(self, uniform: Tensor) -> Tensor:
        """Noise levels σ [B] on the CPU, from u ~ U[0, 1) [B]."""
        if self.schedule in TABLES:
            return self.table[(uniform * len(self.table)).long()]
        return self._levels(uniform).float().clamp(float(self.table.min()), float(self.table.max()))

    def _levels(self, u: Tensor) -> Tensor:
        """Noise levels σ [B] of a schedule without a table."""
        if self.schedule == "ModelSamplingContinuousEDM":
            mean, deviation = LOG_SIGMA
            return (mean + deviation * torch.special.ndtri(u.double().clamp(1e-6, 1 - 1e-6))).exp()
        if self.schedule == "ModelSamplingContinuousV":
            return torch.as_tensor(self.sampling.sigma(u))
        t = DENSITIES[self.density](u)
        if self.schedule == "ModelSamplingCosmosRFlow":
            return t / (1 - t)
        return torch.as_tensor(self.sampling.sigma(t * getattr(self.sampling, "multiplier", 1)))

    def add_noise(self, x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The noisy latents, by the host's `noise_scaling`."""
        return torch.as_tensor(self.sampling.noise_scaling(timesteps, noise, x, False))

    def target(self, x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The network's output at which the host denoises z_t to x."""
        return self.answer(x, self.add_noise(x, noise, timesteps), timesteps)

    def answer(self, denoised: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
        """The network's output behind x̂ (`denoised`) for z_t (`noisy`), all in one shape."""
        a, b = self._coefficients(timesteps, noisy.ndim)
        return (denoised - a * noisy) / b

    def signal_to_noise(self, timesteps: Tensor) -> Tensor:
        """The ratio of the squared factors of x and noise in z_t [B]."""
        one = torch.ones(len(timesteps), 1, device=timesteps.device)
        signal, noise = (
            self.sampling.noise_scaling(timesteps, one * of_noise, one * (1 - of_noise), False) for of_noise in (0, 1)
        )
        return torch.as_tensor((signal / noise).square()).flatten()

    def image_error(self, timesteps: Tensor) -> Tensor:
        """The squared error of x̂ for a unit squared error of the network's output [B]: b²."""
        return self._coefficients(timesteps, 2)[1].square().flatten()

    def _coefficients(self, timesteps: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
        """a and b of x̂ = a·z + b·F, each [B, 1, …]."""
        one = torch.ones(len(timesteps), *(1,) * (dimensions - 1), device=timesteps.device)
        zero = torch.zeros_like(one)
        denoised = self.sampling.calculate_denoised
        return denoised(timesteps, zero, one), denoised(timesteps, one, zero)

    def to(self, device: torch.device) -> HostNoise:
        """Itself: levels follow the device of their tensors."""
        return self


def noise_of(sampling: Any, model_kind: str = "") -> HostNoise:
    """The noise process of a host's `model_sampling` object. model_kind: the host's class of the model.

    Raises ValueError, naming the class, where it cannot be trained for.
    """
    prediction, schedule = _class_with(sampling, "calculate_denoised"), _class_with(sampling, "sigma")
    if prediction not in PREDICTIONS:
        raise ValueError(f"The model answers by {prediction}, which cannot be trained: only {', '.join(PREDICTIONS)}.")
    if schedule not in (*TABLES, *FLOWS, *CONTINUOUS):
        known = ", ".join((*TABLES, *FLOWS, *CONTINUOUS))
        raise ValueError(f"The model's noise schedule is {schedule}, which cannot be trained: only {known}.")
    density = "logit_normal" if model_kind in LOGIT_NORMAL_MODELS else "uniform"
    return HostNoise(sampling, prediction, schedule, density, sampling.sigmas.detach().cpu().float().clone())


def _class_with(sampling: Any, method: str) -> str:
    """The name of the class that a method comes from: a subclass that changes it is another class."""
    return next((kind.__name__ for kind in type(sampling).__mro__ if method in vars(kind)), type(sampling).__name__)

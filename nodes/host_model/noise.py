"""The noise process of a host's model, read from its `model_sampling`: z_t, the target and the timesteps.

Every known class answers affinely: x̂ = a(σ)·z + b(σ)·F, with F the network's output. So a and b are the values of the
class's own `calculate_denoised` at (F, z) = (0, 1) and (1, 0), and F = (x̂ − a·z)/b. A timestep is its noise level σ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...trainer.options.choices import Density
from ...trainer.options.setting import OptionError

PREDICTIONS = ("EPS", "V_PREDICTION", "V_PREDICTION_DDPM", "EDM", "X0", "CONST", "COSMOS_RFLOW")
"""The host's classes of answers that can be trained. IMG_TO_IMG answers from an image, and is not among them."""
ANSWERS = ("calculate_input", "calculate_denoised", "noise_scaling")
"""The methods by which those classes say what goes in and what comes out."""
TABLES = ("ModelSamplingDiscrete", "StableCascadeSampling")
"""The schedules whose levels are those of a table."""
FLOWS = ("ModelSamplingDiscreteFlow", "ModelSamplingFlux", "ModelSamplingCosmosRFlow")
"""The schedules of flows, from t in 0..1."""
CONTINUOUS = ("ModelSamplingContinuousEDM", "ModelSamplingContinuousV")
"""The schedules of all levels between two bounds."""
LOG_SIGMA = (-1.2, 1.2)
"""Mean and standard deviation of ln σ in the training of EDM (Karras et al., 2022, table 1)."""


def logit_normal(u: Tensor) -> Tensor:
    """t with a logit that is normal (0, 1), from u ~ U[0, 1) (Esser et al., 2024, section 3.1)."""
    return torch.special.ndtri(u.double().clamp(1e-6, 1 - 1e-6)).sigmoid().to(u.dtype)


def shifted(t: Tensor, shift: float) -> Tensor:
    """The noise level of t for a shift s: s·t / (1 + (s − 1)·t) (Esser et al., 2024, section 5.3.2)."""
    return shift * t / (1 + (shift - 1) * t)


def shift_for(tokens: int) -> float:
    """The shift e^μ for an image of so many tokens, μ a line through 0.5 at 256 and 1.15 at 4096 (Black Forest Labs'
    sampling of FLUX, which ai-toolkit trains FLUX.2 and Krea 2 by).
    """
    return math.exp(0.5 + (1.15 - 0.5) * (tokens - 256) / (4096 - 256))


AUTO: dict[str, Density] = {"SD3": "logit_normal", "Flux2": "shifted_by_tokens", "Krea2": "shifted_by_tokens"}
"""{the host's class of a model: the density of the scripts that it is usually trained by}; of all others "shifted".
SD3: diffusers'. FLUX.2 and Krea 2: ai-toolkit's.
"""


@dataclass(frozen=True)
class HostNoise:
    """The noise process of a `model_sampling` object. prediction, schedule: its classes, of those above. density: of a
    flow's levels. table: the levels that the schedule lists, float32 on the CPU. patch: a token's side in positions of
    the latents. A timestep is a noise level σ, float32 [B].
    """

    sampling: Any
    prediction: str
    schedule: str
    density: Density
    table: Tensor
    patch: int = 2

    def draw_timesteps(self, uniform: Tensor, size: torch.Size | None = None) -> Tensor:
        """Noise levels σ [B] on the CPU, from u ~ U[0, 1) [B], for latents of a size [C, h, w]."""
        if self.schedule in TABLES:
            return self.table[(uniform * len(self.table)).long()]
        levels = self._flow_levels(uniform, size) if self.schedule in FLOWS else self._levels(uniform)
        return levels.float().clamp(float(self.table.min()), float(self.table.max()))

    def with_density(self, density: Density) -> HostNoise:
        """The same process with a flow's levels drawn by another density. Raises OptionError where it is no flow."""
        if self.schedule not in FLOWS:
            raise OptionError(
                f"timestep_density is {density!r}, and this model is no flow: its timesteps are those of "
                f"{self.schedule}; leave it at 'auto'."
            )
        return replace(self, density=density)

    def _flow_levels(self, u: Tensor, size: torch.Size | None) -> Tensor:
        """Noise levels σ [B] of a flow."""
        t = logit_normal(u) if self.density == "logit_normal" else u
        if self.density == "shifted_by_tokens":
            t = shifted(t, shift_for(self._tokens(size)))
        if self.schedule == "ModelSamplingCosmosRFlow":
            return t / (1 - t)
        if self.density in ("uniform", "shifted_by_tokens"):
            return t
        return torch.as_tensor(self.sampling.sigma(t * getattr(self.sampling, "multiplier", 1)))

    def _tokens(self, size: torch.Size | None) -> int:
        """The tokens of an image with latents of a size [C, h, w]."""
        if size is None:
            raise ValueError("A density that is shifted by tokens needs the latents' size.")
        return max(1, (size[-2] // self.patch) * (size[-1] // self.patch))

    def _levels(self, u: Tensor) -> Tensor:
        """Noise levels σ [B] of a schedule of all levels."""
        if self.schedule == "ModelSamplingContinuousEDM":
            mean, deviation = LOG_SIGMA
            return (mean + deviation * torch.special.ndtri(u.double().clamp(1e-6, 1 - 1e-6))).exp()
        return torch.as_tensor(self.sampling.sigma(u))

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


def noise_of(sampling: Any, model_kind: str = "", patch: int = 2) -> HostNoise:
    """The noise process of a host's `model_sampling` object. model_kind: the host's class of the model. patch: a
    token's side in positions of the latents.

    Raises ValueError, naming the class, where it cannot be trained for.
    """
    prediction, schedule = _class_with(sampling, *ANSWERS), _class_with(sampling, "sigma")
    if prediction not in PREDICTIONS:
        raise ValueError(f"The model answers by {prediction}, which cannot be trained: only {', '.join(PREDICTIONS)}.")
    if schedule not in (*TABLES, *FLOWS, *CONTINUOUS):
        known = ", ".join((*TABLES, *FLOWS, *CONTINUOUS))
        raise ValueError(f"The model's noise schedule is {schedule}, which cannot be trained: only {known}.")
    table = sampling.sigmas.detach().cpu().float().clone()
    return HostNoise(sampling, prediction, schedule, AUTO.get(model_kind, "shifted"), table, patch)


def _class_with(sampling: Any, *methods: str) -> str:
    """The name of the class that these methods come from: a subclass that changes one is another class."""
    kinds = type(sampling).__mro__
    return next((kind.__name__ for kind in kinds if vars(kind).keys() & set(methods)), type(sampling).__name__)

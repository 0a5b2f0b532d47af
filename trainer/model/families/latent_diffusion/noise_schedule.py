"""Stable Diffusion's noise schedule, for the training loss and for sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers import DDIMScheduler, DDPMScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler
from torch import Tensor

SCHEDULERS: dict[str, Any] = {
    "euler_ancestral": EulerAncestralDiscreteScheduler,
    "euler": EulerDiscreteScheduler,
    "ddim": DDIMScheduler,
}
"""{sampler: diffusers' scheduler class}."""
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
}
"""The arguments of diffusers' schedulers for Stable Diffusion's β schedule."""
UPSCALER_SCHEDULE = {**SCHEDULE, "beta_start": 0.0001, "beta_end": 0.02}
"""The same for Stable Diffusion x4: of the latents, and of the small picture."""


def alphas_cumprod(zero_snr: bool, schedule: Mapping[str, Any] = SCHEDULE) -> Tensor:
    """α_t² [1000], float32. zero_snr: rescaled so that the last timestep is pure noise (Lin et al., 2023)."""
    return DDPMScheduler(**schedule, rescale_betas_zero_snr=zero_snr).alphas_cumprod


def new_scheduler(sampler: str, prediction: str | None, zero_snr: bool, schedule: Mapping[str, Any] = SCHEDULE) -> Any:
    """A new diffusers scheduler with this noise schedule. Raises KeyError for a sampler that is not in `SCHEDULERS`."""
    told = {
        "prediction_type": prediction,
        "steps_offset": 1,
        "clip_sample": False,
        "rescale_betas_zero_snr": zero_snr,
    }
    return SCHEDULERS[sampler].from_config({**schedule, **told})

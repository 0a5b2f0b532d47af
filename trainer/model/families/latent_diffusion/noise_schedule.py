"""Stable Diffusion's noise schedule, for the loss and for the samplers that draw with it."""

from __future__ import annotations

from typing import Any

from diffusers import DDIMScheduler, DDPMScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler
from torch import Tensor

SCHEDULERS: dict[str, Any] = {
    "euler_ancestral": EulerAncestralDiscreteScheduler,
    "euler": EulerDiscreteScheduler,
    "ddim": DDIMScheduler,
}
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
}


def alphas_cumprod(zero_snr: bool) -> Tensor:
    """α_t² [1000]; zero_snr: the last timestep is pure noise (Lin et al., 2023)."""
    return DDPMScheduler(**SCHEDULE, rescale_betas_zero_snr=zero_snr).alphas_cumprod


def new_scheduler(sampler: str, prediction: str | None, zero_snr: bool) -> Any:
    """diffusers' scheduler. Raises KeyError for a sampler that is not among `SCHEDULERS`."""
    told = {
        "prediction_type": prediction,
        "steps_offset": 1,
        "clip_sample": False,
        "rescale_betas_zero_snr": zero_snr,
    }
    return SCHEDULERS[sampler].from_config({**SCHEDULE, **told})

"""Pictures from the live model: class priors for the command line, samples while a run goes on.

Sampling is passed in where it is needed, so that a host may draw with its own sampler instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler
from torch import Tensor

from . import randomness
from .base import Base, Conditioning

SCHEDULERS: dict[str, Any] = {
    "euler_ancestral": EulerAncestralDiscreteScheduler,
    "euler": EulerDiscreteScheduler,
    "ddim": DDIMScheduler,
}


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """How pictures are drawn. guidance: classifier-free, 1 means none; sizes in pixels."""

    width: int
    height: int
    sampler: str = "euler_ancestral"
    steps: int = 20
    guidance: float = 5.0


@torch.no_grad()
def draw(base: Base, prompts: Sequence[str], seeds: Sequence[int], settings: SamplerSettings) -> Tensor:
    """One picture per prompt and seed, [B, 3, H, W] in 0..1 on the CPU; each depends on its seed alone."""
    scheduler = SCHEDULERS[settings.sampler].from_config(base.scheduler_config())
    scheduler.set_timesteps(settings.steps)
    side = base.pixels_per_latent
    shape = (base.latent_channels, settings.height // side, settings.width // side)
    starts = [randomness.generator(seed, "sample", 0) for seed in seeds]
    latents = torch.stack([torch.randn(shape, generator=g) for g in starts]).to(base.device)
    latents = latents * scheduler.init_noise_sigma
    conditioning = _guided(base, prompts, settings.guidance)
    noise = {"generator": starts} if settings.sampler == "euler_ancestral" else {}
    for t in scheduler.timesteps:
        answer = _answer(base, scheduler.scale_model_input(latents, t), t, conditioning, settings.guidance)
        latents = scheduler.step(answer, t, latents, **noise).prev_sample
    return torch.cat([base.decode_latents(one) for one in latents.split(1)]).float().cpu()


def _guided(base: Base, prompts: Sequence[str], guidance: float) -> Conditioning:
    empty = [""] * len(prompts) if guidance != 1 else []
    return base.encode_prompts([*prompts, *empty])


def _answer(base: Base, z: Tensor, t: Tensor, conditioning: Conditioning, guidance: float) -> Tensor:
    times = len(next(iter(conditioning.values()))) // len(z)
    z = torch.cat([z] * times)
    answer = base.predict(z, t.to(z.device).expand(len(z)), conditioning).float()
    if times == 1:
        return answer
    prompted, empty = answer.chunk(2)
    return empty + guidance * (prompted - empty)

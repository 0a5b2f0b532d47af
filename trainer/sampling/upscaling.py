"""Pictures enlarged by an upscaler in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import randomness
from ..files.safetensors import CheckpointError
from ..model.base import Base, Conditioning
from ..model.small_picture import SmallPicture
from .sampler import SamplerSettings, TellShare, draw, tell_nobody

SIDE = 8
"""The denoiser takes pictures whose sides are multiples of this, in pixels: it halves them up to three times."""


@dataclass(frozen=True, kw_only=True)
class UpscaleSettings:
    """Settings of upscaling. noise_level: of the noise on the small picture. sampler: empty means the base's default.
    guidance: the scale of classifier-free guidance, 1 for none.
    """

    noise_level: int = 0
    steps: int = 20
    guidance: float = 1.0
    sampler: str = "ddim"


def require_upscaler(base: Base) -> SmallPicture:
    """How a base is shown small pictures. Raises CheckpointError for one that enlarges none."""
    if base.small_picture is None:
        raise CheckpointError(f"{base.source.name!r} is a {base.family}, which enlarges no pictures: name an upscaler.")
    return base.small_picture


def upscale(
    base: Base,
    small: Tensor,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: UpscaleSettings,
    tell: TellShare = tell_nobody,
) -> Tensor:
    """Small pictures [B, 3, h, w] in 0..1, enlarged by the model's factor, [B, 3, H, W] in 0..1 on the CPU. A picture's
    noises depend on its seed alone. prompts, seeds: of each. tell: called after each denoising step.

    Sides that are no multiples of SIDE are continued by their last pixels, and what comes of these is cut off. Raises
    CheckpointError for a model that enlarges no pictures, ValueError for a noise level that it does not take.
    """
    process = require_upscaler(base)
    if not 0 <= settings.noise_level <= process.highest_level:
        raise ValueError(f"noise_level is {settings.noise_level}; it must be 0 to {process.highest_level}.")
    height, width = small.shape[-2:]
    whole = F.pad(small, (0, -width % SIDE, 0, -height % SIDE), mode="replicate")
    size = SamplerSettings(
        width=whole.shape[-1] * process.factor,
        height=whole.shape[-2] * process.factor,
        sampler=settings.sampler,
        steps=settings.steps,
        guidance=settings.guidance,
    )
    shown = _shown(process, whole * 2 - 1, seeds, settings.noise_level, base.device)
    drawn = draw(base, prompts, seeds, size, tell, shown)
    return drawn[..., : height * process.factor, : width * process.factor]


def _shown(
    process: SmallPicture, small: Tensor, seeds: Sequence[int], level: int, device: torch.device
) -> Conditioning:
    """The conditioning for small pictures in −1..1, with noise that depends on the seeds."""
    starts = [randomness.generator(seed, "sample.picture", 0) for seed in seeds]
    noise = torch.stack([torch.randn(tuple(small.shape[1:]), generator=start) for start in starts])
    return process.shown(small.to(device), noise.to(device), torch.full((len(seeds),), level, device=device))

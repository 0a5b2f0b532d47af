"""Pictures enlarged by an upscaler in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import randomness
from ..files.safetensors import CheckpointError
from ..model.base import Base, Conditioning
from ..model.small_picture import SmallPicture
from .sampler import SamplerSettings, TellShare, draw, tell_nobody

SIDE = 8
"""Small pictures have sides of multiples of this, in pixels: the denoiser halves its latents up to three times."""


@dataclass(frozen=True, kw_only=True)
class UpscaleSettings:
    """Settings of upscaling. noise_level: of the noise on the small picture. sampler: empty means the base's default.
    guidance: the scale of classifier-free guidance, 1 for none.
    """

    noise_level: int = 0
    steps: int = 20
    guidance: float = 1.0
    sampler: str = "ddim"


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

    Raises CheckpointError for a model that enlarges no pictures, ValueError for a size or a noise level that it does
    not take.
    """
    process = base.small_picture
    if process is None:
        raise CheckpointError(f"{base.source.name!r} is a {base.family}, which enlarges no pictures: name an upscaler.")
    height, width = small.shape[-2:]
    if min(height, width) < SIDE or height % SIDE or width % SIDE:
        raise ValueError(
            f"A picture of {width}x{height} pixels cannot be enlarged: sides are multiples of {SIDE}, {SIDE} or more."
        )
    if not 0 <= settings.noise_level <= process.highest_level:
        raise ValueError(f"noise_level is {settings.noise_level}; it must be 0 to {process.highest_level}.")
    size = SamplerSettings(
        width=width * process.factor,
        height=height * process.factor,
        sampler=settings.sampler,
        steps=settings.steps,
        guidance=settings.guidance,
    )
    shown = _shown(process, small * 2 - 1, seeds, settings.noise_level, base.device)
    return draw(base, prompts, seeds, size, tell, shown)


def _shown(
    process: SmallPicture, small: Tensor, seeds: Sequence[int], level: int, device: torch.device
) -> Conditioning:
    """The conditioning for small pictures in −1..1, with noise that depends on the seeds."""
    starts = [randomness.generator(seed, "sample.picture", 0) for seed in seeds]
    noise = torch.stack([torch.randn(tuple(small.shape[1:]), generator=start) for start in starts])
    return process.shown(small.to(device), noise.to(device), torch.full((len(seeds),), level, device=device))

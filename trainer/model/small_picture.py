"""The small picture that an upscaler enlarges, as its denoiser is shown it: with noise of a level that it is told.

With x' the small picture in −1..1, ε' ~ N(0, I) and s a noise level, the denoiser is shown s and

    x'_s = α_s·x' + σ_s·ε'                                     (variance preserving: α_s² + σ_s² = 1)

beside the noisy latents, which have its size (Ho et al., 2021, "Cascaded Diffusion Models for High Fidelity Image
Generation", section 4.2: conditioning augmentation).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

PICTURE, LEVEL = "picture", "noise_level"
"""The names of the noisy small picture and of its noise level in a conditioning."""


@dataclass(frozen=True)
class SmallPicture:
    """How a denoiser is shown a small picture. alphas_cumprod: α_s² [S], float32. factor: by how much a side is
    enlarged. highest_level: of the noise that the model was trained with.
    """

    alphas_cumprod: Tensor
    factor: int
    highest_level: int

    def to(self, device: torch.device) -> SmallPicture:
        """The same with its table on `device`."""
        return replace(self, alphas_cumprod=self.alphas_cumprod.to(device))

    def of(self, pixels: Tensor) -> Tensor:
        """Small pictures [B, 3, H / factor, W / factor] in −1..1 of pictures [B, 3, H, W] in 0..1, shrunken by a
        bicubic filter.
        """
        size = pixels.shape[-2] // self.factor, pixels.shape[-1] // self.factor
        return F.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 1) * 2 - 1

    def shown(self, small: Tensor, noise: Tensor, levels: Tensor) -> dict[str, Tensor]:
        """The conditioning for small pictures [B, 3, h, w] in −1..1 with noise of their shape at levels [B], int64."""
        alpha_squared = self.alphas_cumprod[levels].view(-1, 1, 1, 1)
        noisy = alpha_squared.sqrt() * small + (1 - alpha_squared).sqrt() * noise
        return {PICTURE: noisy, LEVEL: levels}

    def grey(self, latents: Tensor) -> dict[str, Tensor]:
        """The conditioning by which a prompt tells most, for latents [B, C, h, w]: grey pictures at the highest
        level.
        """
        count, (height, width) = len(latents), latents.shape[-2:]
        levels = torch.full((count,), self.highest_level, device=latents.device)
        return {PICTURE: latents.new_zeros(count, 3, height, width), LEVEL: levels}

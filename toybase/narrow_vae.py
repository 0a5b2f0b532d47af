"""The narrow VAEs of toybase: the base's, an AutoencoderKL that zero-pads exactly to SD 1.5's (padded_vae.py), and the
upscaler's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

LAYERS = 1
"""Residual blocks per level of the encoder, one more in the decoder; SD 1.5 has 2 (and 3)."""
SCALING = 0.18215
"""SD 1.x: latents times this have unit variance."""


@dataclass(frozen=True)
class VaeKind:
    """A narrow VAE's architecture. name: of its stored weights. groups: of its norms, where Stable Diffusion's have 32.
    multiples: the width of each level by `groups`, outermost first; each level but the last halves the picture.
    scaling: latents times this have unit variance.
    """

    name: str
    groups: int
    multiples: tuple[int, ...]
    scaling: float

    @property
    def factor(self) -> int:
        """Pixels per latent, a side."""
        return 2 ** (len(self.multiples) - 1)


BASE = VaeKind("vae", 6, (4, 8, 16, 16), SCALING)
"""The base's, as SD 1.5's: factor 8."""
UPSCALER = VaeKind("upscaler_vae", 6, (4, 8, 16), 0.08333)
"""The upscaler's, as Stable Diffusion x4's: factor 4. Its latents are the base's of the picture at twice the size."""


def new_vae(kind: VaeKind = BASE) -> AutoencoderKL:
    """A randomly initialised narrow VAE with 4 latent channels."""
    levels = len(kind.multiples)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=tuple(multiple * kind.groups for multiple in kind.multiples),
        layers_per_block=LAYERS,
        latent_channels=4,
        norm_num_groups=kind.groups,
        sample_size=64,
        scaling_factor=kind.scaling,
    )


def moments_at_twice_the_size(base_vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """The upscaler's latents of pictures [B, 3, S, S] in -1 to 1: mean and log-variance [B, 8, S / 4, S / 4], of unit
    variance after `scaling`, from the base's VAE.
    """
    doubled = F.interpolate(pictures, scale_factor=2, mode="bicubic").clamp(-1, 1)
    moments: Tensor = base_vae.quant_conv(base_vae.encoder(doubled.to(memory_format=torch.channels_last)))
    mean, log_variance = moments.float().chunk(2, 1)
    ratio = BASE.scaling / UPSCALER.scaling
    return torch.cat([mean * ratio, log_variance + 2 * math.log(ratio)], 1)


@torch.no_grad()
def fold_statistics(vae: AutoencoderKL, mean: Tensor, std: Tensor) -> None:
    """Make latents, of per-channel mean and std [4], zero-mean with a std of 1 / scaling, for free.

    quant_conv's first four rows give the mean, its last four the log-variance; post_quant_conv undoes it.
    """
    factor = 1 / (std * vae.config.scaling_factor)
    quant, back = vae.quant_conv, vae.post_quant_conv
    quant.weight[:4] *= factor.view(4, 1, 1, 1)
    quant.bias[:4] = (quant.bias[:4] - mean) * factor
    quant.bias[4:] += 2 * factor.log()
    back.bias += (back.weight[:, :, 0, 0] * mean).sum(1)
    back.weight /= factor.view(1, 4, 1, 1)

"""The VAE of toybase: a narrow AutoencoderKL that zero-pads exactly to SD 1.5's (padded_vae.py)."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import Tensor

ALIVE_GROUPS = 6
"""Of SD's 32 norm groups; the widths are (4, 8, 16, 16) times this, SD's being times 32."""
LAYERS = 1
"""Residual blocks per level of the encoder, one more in the decoder; SD 1.5 has 2 (and 3)."""
SCALING = 0.18215
"""SD 1.x: latents times this have unit variance."""


def new_vae(groups: int = ALIVE_GROUPS) -> AutoencoderKL:
    """A randomly initialised narrow VAE; factor 8, 4 latent channels, as SD 1.5."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4 * groups, 8 * groups, 16 * groups, 16 * groups),
        layers_per_block=LAYERS,
        latent_channels=4,
        norm_num_groups=groups,
        sample_size=64,
        scaling_factor=SCALING,
    )


@torch.no_grad()
def fold_statistics(vae: AutoencoderKL, mean: Tensor, std: Tensor) -> None:
    """Make latents, of per-channel mean and std [4], zero-mean with a std of 1 / SCALING, for free.

    quant_conv's first four rows give the mean, its last four the log-variance; post_quant_conv undoes it.
    """
    factor = 1 / (std * SCALING)
    quant, back = vae.quant_conv, vae.post_quant_conv
    quant.weight[:4] *= factor.view(4, 1, 1, 1)
    quant.bias[:4] = (quant.bias[:4] - mean) * factor
    quant.bias[4:] += 2 * factor.log()
    back.bias += (back.weight[:, :, 0, 0] * mean).sum(1)
    back.weight /= factor.view(1, 4, 1, 1)

"""The narrow VAE as SD 1.5's full one, exactly.

A group norm splits its channels into 32 groups whatever the width, so a network with g groups is the
full one with g groups alive: copied channels come first and all else, norm weights included, is zero.
Zero residual blocks are identities. The mid block's attention divides by the square root of its
width, which padding changes from 16 g to 512: `to_q` makes up for it.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import Tensor

FULL_WIDTHS, FULL_LAYERS, FULL_GROUPS = (128, 256, 512, 512), 2, 32


def full_vae() -> AutoencoderKL:
    """SD 1.5's VAE on the meta device: shapes and names, no memory."""
    with torch.device("meta"):
        return AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=FULL_WIDTHS,
            layers_per_block=FULL_LAYERS,
            norm_num_groups=FULL_GROUPS,
        )


def pad_vae(narrow: dict[str, Tensor]) -> dict[str, Tensor]:
    """The full VAE's weights, under diffusers' names, from the narrow one's."""
    width = narrow["encoder.mid_block.attentions.0.to_q.weight"].shape[0]
    padded: dict[str, Tensor] = {}
    for name, full in full_vae().state_dict().items():
        value = torch.zeros(full.shape)
        if name in narrow:
            corner = tuple(slice(0, length) for length in narrow[name].shape)
            value[corner] = narrow[name].float()
        if ".to_q." in name:
            value *= (FULL_WIDTHS[-1] / width) ** 0.5
        padded[name] = value
    return padded

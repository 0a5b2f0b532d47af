"""A Stable Diffusion 1 of random weights, for what does not depend on what a base has learned.

CLIP's width and vocabulary, by which the family is known and in which prompts are written; all else as small as it can
be. A step on it costs a fraction of one on the embedded base.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from dreambooth_nodes.machine_check.full_size import new_text_encoder, with_original_keys
from dreambooth_nodes.trainer.files.safetensors import write_tensors
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import (
    CLIP_L,
    DENOISER,
    VAE,
    clip_table,
    denoiser_table,
    vae_table,
)
from dreambooth_nodes.trainer.model.families.latent_diffusion.unet_shape import Blocks
from dreambooth_nodes.trainer.model.keys import KeyTable

METADATA = {"modelspec.prediction_type": "epsilon", "modelspec.resolution": "64x64"}


def write_tiny_base(path: Path) -> Path:
    """As one checkpoint in SD 1.5's layout: one level of 32 channels, one block of text encoder.

    In float32, so that a model reads the file's own pages: half of the time of loading it was the vocabulary's cast.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tensors = _tensors()
    return write_tensors({key: value.contiguous() for key, value in tensors.items()}, path, METADATA)


def _tensors() -> dict[str, Tensor]:
    denoiser = UNet2DConditionModel(
        block_out_channels=(32,), layers_per_block=1, cross_attention_dim=768, attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(16,) * 4, layers_per_block=1, norm_num_groups=4,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
    )  # fmt: skip
    modules: list[tuple[nn.Module, KeyTable]] = [
        (denoiser, denoiser_table(DENOISER, Blocks.even(1, (1,)))),
        (vae, vae_table(VAE, 1, 4)),
        (new_text_encoder(768, 1), clip_table(CLIP_L)),
    ]
    found: dict[str, Tensor] = {}
    for module, table in modules:
        found |= with_original_keys(module, table)
    return found

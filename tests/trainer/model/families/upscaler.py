"""A small upscaler of Stable Diffusion x4's kind with random weights, and diffusers' own pipeline of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionUpscalePipeline, UNet2DConditionModel
from torch import Tensor, nn

from dreambooth_nodes.machine_check.full_size import new_text_encoder
from dreambooth_nodes.tests.trainer.model.families.pipelines import tokenizer
from dreambooth_nodes.trainer.files.safetensors import write_tensors
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import (
    DENOISER,
    OPEN_CLIP,
    VAE,
    denoiser_table,
    open_clip_table,
    vae_table,
)
from dreambooth_nodes.trainer.model.families.latent_diffusion.unet_shape import Blocks
from dreambooth_nodes.trainer.model.keys import KeyTable, text_encoder_name

LAYERS = 2
SCHEDULE = {"beta_schedule": "scaled_linear", "beta_start": 0.0001, "beta_end": 0.02, "num_train_timesteps": 1000}


def new_unet() -> UNet2DConditionModel:
    """As the real one, the outer level attends to the prompt alone, and the inner one to the picture too."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=7,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        only_cross_attention=(True, False),
        mid_block_only_cross_attention=False,
        cross_attention_dim=1024,
        attention_head_dim=8,
        use_linear_projection=True,
        num_class_embeds=1000,
    )


def new_vae() -> AutoencoderKL:
    """Three levels, so that a latent is four pixels wide."""
    return AutoencoderKL(
        block_out_channels=(32, 32, 32),
        layers_per_block=1,
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        norm_num_groups=8,
        scaling_factor=0.08333,
    )


def components() -> dict[str, tuple[nn.Module, KeyTable]]:
    """{component: (module with the same random weights at every call, its table)}."""
    torch.manual_seed(1)
    found: dict[str, tuple[nn.Module, KeyTable]] = {
        "denoiser": (new_unet(), denoiser_table(DENOISER, Blocks.even(1, (1, 1)), labels=True)),
        "vae": (new_vae(), vae_table(VAE, 1, 3)),
        "text_encoder": (new_text_encoder(1024, LAYERS), open_clip_table(OPEN_CLIP, LAYERS)),
    }
    for module, _ in found.values():
        for name, weight in module.named_parameters():
            if name.endswith("bias") or "norm" in name:
                nn.init.normal_(weight, mean=float("norm" in name and "weight" in name), std=0.1)
    return found


def write_upscaler(path: Path) -> Path:
    """As one file in the original layout."""
    tensors: dict[str, Tensor] = {}
    for module, table in components().values():
        tensors |= table.to_original({text_encoder_name(k): v for k, v in module.state_dict().items()})
    return write_tensors({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {})


def pipeline(scheduler: Any) -> Any:
    """The weights of `write_upscaler`. scheduler: of the latents."""
    parts = {name: module.eval() for name, (module, _) in components().items()}
    pipe = StableDiffusionUpscalePipeline(
        unet=parts["denoiser"],
        vae=parts["vae"],
        text_encoder=parts["text_encoder"],
        tokenizer=tokenizer("!"),
        scheduler=scheduler,
        low_res_scheduler=DDPMScheduler(**SCHEDULE),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe

"""Small models of the real families: every kind of layer, real text widths, random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from dreambooth_nodes.machine_check.full_size import new_text_encoder
from dreambooth_nodes.trainer.files.safetensors import write_tensors
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import (
    CLIP_L,
    CLIP_L_OF_TWO,
    DENOISER,
    OPEN_CLIP,
    OPEN_CLIP_OF_TWO,
    VAE,
    clip_table,
    denoiser_table,
    open_clip_table,
    vae_table,
)
from dreambooth_nodes.trainer.model.families.latent_diffusion.unet_shape import Blocks
from dreambooth_nodes.trainer.model.keys import KeyTable, text_encoder_name

WIDTHS = {"sd1": 768, "sd2": 1024, "sdxl": 2048}
DEPTHS = {"sd1": (1, 1), "sd2": (1, 1), "sdxl": (0, 2)}
LAYERS = 2


def new_unet(family: str) -> UNet2DConditionModel:
    """Two levels of 64 and 128 channels."""
    depths = DEPTHS[family]
    config: dict[str, Any] = {
        # diffusers 0.31 makes no pipeline of a UNet that does not say it.
        "sample_size": 64,
        "block_out_channels": (64, 128),
        "layers_per_block": 1,
        "cross_attention_dim": WIDTHS[family],
        "attention_head_dim": 8 if family == "sd1" else (1, 2),
        "use_linear_projection": family != "sd1",
        "transformer_layers_per_block": tuple(max(1, depth) for depth in depths),
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
        "up_block_types": tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)),
    }
    if family == "sdxl":
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        }
    return UNet2DConditionModel(**config)


def new_vae() -> AutoencoderKL:
    """Four levels, so that a latent is eight pixels wide."""
    return AutoencoderKL(
        block_out_channels=(32, 32, 32, 32),
        layers_per_block=1,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        norm_num_groups=8,
    )


def components(family: str) -> dict[str, tuple[nn.Module, KeyTable]]:
    """{component: (module with random weights, its table)}, norms and biases random as well."""
    torch.manual_seed(1)
    depths = DEPTHS[family]
    found: dict[str, tuple[nn.Module, KeyTable]] = {
        "denoiser": (new_unet(family), denoiser_table(DENOISER, Blocks.even(1, depths))),
        "vae": (new_vae(), vae_table(VAE, 1, 4)),
    }
    if family == "sd1":
        found["text_encoder"] = new_text_encoder(768, LAYERS), clip_table(CLIP_L)
    elif family == "sd2":
        found["text_encoder"] = new_text_encoder(1024, LAYERS), open_clip_table(OPEN_CLIP, LAYERS)
    else:
        found["text_encoder"] = new_text_encoder(768, LAYERS), clip_table(CLIP_L_OF_TWO)
        found["text_encoder_2"] = (
            new_text_encoder(1280, LAYERS, projected=True),
            open_clip_table(OPEN_CLIP_OF_TWO, LAYERS),
        )
    for module, _ in found.values():
        for name, weight in module.named_parameters():
            if name.endswith("bias") or "norm" in name:
                nn.init.normal_(weight, mean=float("norm" in name and "weight" in name), std=0.1)
    return found


def checkpoint(family: str) -> dict[str, Tensor]:
    """Under the original layout's names, with tensors that no module owns."""
    tensors = {"model_ema.decay": torch.tensor(0.9999), "alphas_cumprod": torch.linspace(1, 0, 1000)}
    for module, table in components(family).values():
        tensors |= table.to_original({text_encoder_name(k): v for k, v in module.state_dict().items()})
    with_positions = {"sd1": CLIP_L, "sdxl": CLIP_L_OF_TWO}
    if family in with_positions:
        tensors[f"{with_positions[family]}embeddings.position_ids"] = torch.arange(77).unsqueeze(0)
    if family == "sd2":
        tensors[f"{OPEN_CLIP}text_projection"] = torch.randn(1024, 1024)
        tensors[f"{OPEN_CLIP}logit_scale"] = torch.tensor(4.6)
    return tensors


def write_checkpoint(family: str, path: Path, dtype: torch.dtype = torch.float32) -> Path:
    """As one file."""
    tensors = {k: (t.to(dtype) if t.is_floating_point() else t).contiguous() for k, t in checkpoint(family).items()}
    return write_tensors(tensors, path, {"modelspec.prediction_type": "epsilon"})

"""Checkpoints in the real models' sizes, or small: tensor names, shapes, and files of random weights."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from ..trainer.files.safetensors import Shapes
from ..trainer.model.families.latent_diffusion.keys import (
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
from ..trainer.model.families.latent_diffusion.unet_shape import Blocks
from ..trainer.model.keys import KeyTable, text_encoder_name

CPU = torch.device("cpu")
UNETS: dict[str, dict[str, Any]] = {
    "sd1": {"cross_attention_dim": 768, "attention_head_dim": 8},
    "sd2": {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True},
    "sdxl": {
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "use_linear_projection": True,
        "block_out_channels": (320, 640, 1280),
        "transformer_layers_per_block": (1, 2, 10),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
VAE_CONFIG: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
DEPTHS = {"sd1": (1, 1, 1, 0), "sd2": (1, 1, 1, 0), "sdxl": (0, 2, 10)}
SMALL_UNETS: dict[str, dict[str, Any]] = {
    "sd1": {
        "down_block_types": ("CrossAttnDownBlock2D",) * 2,
        "up_block_types": ("CrossAttnUpBlock2D",) * 2,
    },
    "sdxl": {
        "attention_head_dim": (1, 2),
        "transformer_layers_per_block": (1, 2),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    },
}
"""What a small model of the family has beside SMALL; the text's widths, by which a family is recognised, stay."""
SMALL = {"block_out_channels": (64, 128), "layers_per_block": 1}
SMALL_DEPTHS = {"sd1": (1, 1), "sdxl": (0, 2)}
SMALL_VAE = {"block_out_channels": (32,) * 4, "layers_per_block": 1, "norm_num_groups": 8}
BYTES = 2
"""Of a bfloat16."""
TENSORS = {"sd1": 686, "sd2": 686, "sdxl": 1680}


def new_text_encoder(width: int, layers: int, projected: bool = False) -> Any:
    """A CLIP text encoder of a given width, from which its activation and number of heads follow."""
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        hidden_act="quick_gelu" if width == 768 else "gelu",
        projection_dim=width,
        eos_token_id=49407,
        bos_token_id=49406,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def with_original_keys(module: Any, table: KeyTable) -> dict[str, Tensor]:
    """{key in the original checkpoint: weight} of a module."""
    return table.to_original({text_encoder_name(name): tensor for name, tensor in module.state_dict().items()})


def denoiser(family: str, small: bool = False) -> dict[str, Tensor]:
    config, blocks = UNETS[family], Blocks.even(2, DEPTHS[family])
    if small:
        config, blocks = config | SMALL | SMALL_UNETS[family], Blocks.even(1, SMALL_DEPTHS[family])
    with torch.device("meta"):
        return with_original_keys(UNet2DConditionModel(**config), denoiser_table(DENOISER, blocks))


def open_clip(prefix: str, width: int, layers: int) -> dict[str, Tensor]:
    with torch.device("meta"):
        module = new_text_encoder(width, layers, projected=True)
    return with_original_keys(module, open_clip_table(prefix, layers))


def clip_l(prefix: str, layers: int) -> dict[str, Tensor]:
    with torch.device("meta"):
        return with_original_keys(new_text_encoder(768, layers), clip_table(prefix))


def text_encoders(family: str, small: bool = False) -> dict[str, Tensor]:
    """{key: weight} of all text encoders. Of SD 2 all 24 blocks; of a small model one block each."""
    if family == "sd1":
        return clip_l(CLIP_L, 1 if small else 12)
    if family == "sd2":
        return open_clip(OPEN_CLIP, 1024, 24)
    return clip_l(CLIP_L_OF_TWO, 1 if small else 12) | open_clip(OPEN_CLIP_OF_TWO, 1280, 1 if small else 32)


def vae(small: bool = False) -> dict[str, Tensor]:
    """{key: weight} of the VAE, the same for all three families."""
    with torch.device("meta"):
        module = AutoencoderKL(**(VAE_CONFIG | (SMALL_VAE if small else {})))
    return with_original_keys(module, vae_table(VAE, 1 if small else 2, 4))


def tensors_of(family: str, small: bool = False) -> dict[str, Tensor]:
    """A whole checkpoint, every tensor on the meta device. small: narrow, with one text block; not of "sd2"."""
    return denoiser(family, small) | text_encoders(family, small) | vae(small)


def shapes_of(family: str, small: bool = False) -> Shapes:
    """{name: shape} of a whole checkpoint."""
    return {key: tuple(tensor.shape) for key, tensor in tensors_of(family, small).items()}


def random_weight(
    name: str, shape: tuple[int, ...], device: torch.device = CPU, generator: torch.Generator | None = None
) -> Tensor:
    """Random bfloat16 weights, scaled to keep a signal's variance through a layer; norms near 1, biases near 0."""
    if len(shape) > 1:
        # A CPU draws bfloat16 one at a time.
        return torch.randn(shape, device=device, generator=generator).div_(math.sqrt(math.prod(shape[1:]))).bfloat16()
    norm = "bias" not in name and any(part in name for part in ("norm", "ln_", ".0.weight"))
    return (float(norm) + torch.randn(shape, device=device, generator=generator) / 20).bfloat16()


def write_random(family: str, path: Path, device: torch.device = CPU) -> Path:
    """Write a checkpoint of random bfloat16 weights to `path`, one weight at a time in memory; returns `path`.

    family: "sd1", "sd2" or "sdxl". device: where the numbers are drawn. Sets torch's global seed to 0.
    """
    torch.manual_seed(0)
    shapes = shapes_of(family)
    ends = list(itertools.accumulate(BYTES * math.prod(shape) for shape in shapes.values()))
    offsets = zip([0, *ends], ends, strict=False)
    header = {
        name: {"dtype": "BF16", "shape": shape, "data_offsets": place}
        for (name, shape), place in zip(shapes.items(), offsets, strict=True)
    }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            file.write(random_weight(name, shape, device).cpu().view(torch.int16).numpy().data)
    return path

"""Small models of the real families: every kind of layer, real text widths, random weights."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from dreambooth_nodes.machine_check.full_size import new_text_encoder
from dreambooth_nodes.trainer.files.safetensors import read_shapes, read_tensors, write_tensors
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
    """{component: (module with random weights, its table)}, norms and biases random as well.

    The weights are drawn once a process; a module's are a private mapping of their file, which may be written to.
    """
    weights = read_tensors(_weights_file(family))
    torch.manual_seed(1)
    with init_empty_weights():
        modules = _modules(family)
    for name, module in modules.items():
        own = {key: weights[f"{name}.{key}"] for key in module.state_dict()}
        module.load_state_dict(own, assign=True)
    return {name: (module, table) for (name, module), table in zip(modules.items(), _tables(family), strict=True)}


def checkpoint(family: str) -> dict[str, Tensor]:
    """Under the original layout's names, with tensors that no module owns."""
    tensors = read_tensors(_checkpoint_file(family, torch.float32))
    torch.manual_seed(1)
    return tensors


def checkpoint_shapes(family: str) -> dict[str, tuple[int, ...]]:
    """{name: shape} of its tensors."""
    return read_shapes(_checkpoint_file(family, torch.float32))


def write_checkpoint(family: str, path: Path, dtype: torch.dtype = torch.float32) -> Path:
    """As one file: another name of the same bytes, for tests that replace a file and never write into it."""
    file = _checkpoint_file(family, dtype)
    torch.manual_seed(1)
    try:
        os.link(file, path)
    except OSError:
        # The two folders are on different disks.
        shutil.copyfile(file, path)
    return path


def _modules(family: str) -> dict[str, nn.Module]:
    """{component: module}, the text encoders last."""
    modules: dict[str, nn.Module] = {"denoiser": new_unet(family), "vae": new_vae()}
    if family == "sdxl":
        text_encoders = [new_text_encoder(768, LAYERS), new_text_encoder(1280, LAYERS, projected=True)]
    else:
        text_encoders = [new_text_encoder(WIDTHS[family], LAYERS)]
    return modules | dict(zip(("text_encoder", "text_encoder_2"), text_encoders, strict=False))


def _tables(family: str) -> list[KeyTable]:
    """Of its components, in their order."""
    tables = [denoiser_table(DENOISER, Blocks.even(1, DEPTHS[family])), vae_table(VAE, 1, 4)]
    if family == "sd1":
        return [*tables, clip_table(CLIP_L)]
    if family == "sd2":
        return [*tables, open_clip_table(OPEN_CLIP, LAYERS)]
    return [*tables, clip_table(CLIP_L_OF_TWO), open_clip_table(OPEN_CLIP_OF_TWO, LAYERS)]


@cache
def _folder() -> Path:
    """Of what is written once a process."""
    folder = Path(tempfile.mkdtemp(prefix="dreambooth-small-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _weights_file(family: str) -> Path:
    """{"component.our name": weight}, drawn by a fixed seed."""
    torch.manual_seed(1)
    found: dict[str, Tensor] = {}
    for component, module in _modules(family).items():
        for name, weight in module.named_parameters():
            if name.endswith("bias") or "norm" in name:
                nn.init.normal_(weight, mean=float("norm" in name and "weight" in name), std=0.1)
        found |= {f"{component}.{name}": weight.contiguous() for name, weight in module.state_dict().items()}
    return write_tensors(found, _folder() / f"{family}-weights.safetensors", {})


@cache
def _checkpoint_file(family: str, dtype: torch.dtype) -> Path:
    """The family's checkpoint."""
    tensors = {"model_ema.decay": torch.tensor(0.9999), "alphas_cumprod": torch.linspace(1, 0, 1000)}
    for module, table in components(family).values():
        tensors |= table.to_original({text_encoder_name(k): v for k, v in module.state_dict().items()})
    with_positions = {"sd1": CLIP_L, "sdxl": CLIP_L_OF_TWO}
    if family in with_positions:
        tensors[f"{with_positions[family]}embeddings.position_ids"] = torch.arange(77).unsqueeze(0)
    if family == "sd2":
        source = torch.Generator().manual_seed(2)
        tensors[f"{OPEN_CLIP}text_projection"] = torch.randn(1024, 1024, generator=source)
        tensors[f"{OPEN_CLIP}logit_scale"] = torch.tensor(4.6)
    cast = {k: (t.to(dtype) if t.is_floating_point() else t).contiguous() for k, t in tensors.items()}
    file = _folder() / f"{family}-{str(dtype).removeprefix('torch.')}.safetensors"
    return write_tensors(cast, file, {"modelspec.prediction_type": "epsilon"})

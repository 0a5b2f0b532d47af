"""Modules created without memory from tensor shapes, and filled with the file's tensors without a second copy.

"Our names" are the weights' names in this package: diffusers' for UNet and VAE, transformers' for CLIP.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ....files.atomic import write_json
from ....files.safetensors import CheckpointError, listed
from ...keys import count_numbered, text_encoder_name
from .empty_groups import without_empty_groups

Tensors = Mapping[str, Tensor]
VOCABULARY = Path(__file__).with_name("clip_vocabulary")
"""The folder of CLIP's vocabulary, which ships with this package."""
END = "<|endoftext|>"
TOKENIZER_CLASS = "CLIPTokenizer"
TOKENIZER = {
    "tokenizer_class": TOKENIZER_CLASS,
    "bos_token": "<|startoftext|>",
    "eos_token": END,
    "unk_token": END,
    "errors": "replace",
    "do_lower_case": True,
    "add_prefix_space": False,
}
"""The contents of tokenizer_config.json, without length and padding."""


def build_denoiser(tensors: Tensors, config: dict[str, Any], dtype: torch.dtype) -> Any:
    """diffusers' UNet with these weights (by our names), in channels-last memory format, which convolutions are fastest
    in.

    config: the UNet's architecture. dtype: of its linear layers and convolutions; all else is float32.
    """
    with init_empty_weights():
        module = UNet2DConditionModel(**config)
    return _filled(module, tensors, "denoiser", dtype).to(memory_format=torch.channels_last)


def build_vae(tensors: Tensors, scaling: float) -> Any:
    """diffusers' AutoencoderKL with these weights (by our names), in float32; its widths come from their shapes, less
    the channels of norm groups that are empty everywhere.

    scaling: the latent scale. Raises CheckpointError where the encoder, the decoder or both are missing.
    """
    levels = count_numbered(tensors, "encoder.down_blocks.{}.resnets.0.conv1.weight")
    if not levels or "post_quant_conv.weight" not in tensors:
        raise CheckpointError(
            "The file holds no whole VAE (an encoder and a decoder): use a checkpoint that has one, or name the "
            "denoiser, the text encoders and the VAE as files of their own."
        )
    widths = [tensors[f"encoder.down_blocks.{i}.resnets.0.conv1.weight"].shape[0] for i in range(levels)]
    groups = min(32, widths[0] // 4)
    tensors, used = without_empty_groups(tensors, widths, groups)
    with init_empty_weights():
        module = AutoencoderKL(
            block_out_channels=[width * used // groups for width in widths],
            layers_per_block=count_numbered(tensors, "encoder.down_blocks.0.resnets.{}.conv1.weight"),
            down_block_types=["DownEncoderBlock2D"] * levels,
            up_block_types=["UpDecoderBlock2D"] * levels,
            latent_channels=tensors["post_quant_conv.weight"].shape[0],
            norm_num_groups=used,
            scaling_factor=scaling,
        )
    return _filled(module, tensors, "vae")


def build_clip(tensors: Tensors, activation: str) -> Any:
    """transformers' CLIP text encoder with these weights (by our names), in float32, with 64 channels per attention
    head.

    CLIPTextModelWithProjection where the weights have a text projection, else CLIPTextModel. activation: of the MLPs.
    """
    projection = tensors.get("text_projection.weight")
    kind = CLIPTextModel if projection is None else CLIPTextModelWithProjection
    width = tensors["embeddings.token_embedding.weight"].shape[1]
    config = CLIPTextConfig(
        vocab_size=tensors["embeddings.token_embedding.weight"].shape[0],
        max_position_embeddings=tensors["embeddings.position_embedding.weight"].shape[0],
        hidden_size=width,
        intermediate_size=tensors["encoder.layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=count_numbered(tensors, "encoder.layers.{}.mlp.fc1.weight"),
        num_attention_heads=width // 64,
        projection_dim=width if projection is None else projection.shape[0],
        hidden_act=activation,
    )
    with init_empty_weights():
        module = kind(config)
    return _filled(module, tensors, "text encoder")


@functools.cache
def clip_tokenizer() -> Any:
    """CLIP's tokenizer with the shipped vocabulary, one for all models, which none changes; it pads with
    <|endoftext|>, as Stable Diffusion 1.x does.
    """
    return CLIPTokenizer(
        str(VOCABULARY / "vocab.json"),
        str(VOCABULARY / "merges.txt"),
        model_max_length=77,
        pad_token=END,
    )


def write_clip_tokenizer(folder: Path, length: int, pad_token: str) -> str:
    """Write CLIP's tokenizer with the shipped vocabulary into a new `folder`; returns its class in transformers.

    length: tokens per prompt.
    """
    folder.mkdir()
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(VOCABULARY / name, folder / name)
    write_json({**TOKENIZER, "model_max_length": length, "pad_token": pad_token}, folder / "tokenizer_config.json")
    return TOKENIZER_CLASS


def _filled(module: Any, tensors: Tensors, what: str, dtype: torch.dtype = torch.float32) -> Any:
    """The empty module with its weights assigned from `tensors`. what: the component's noun, for errors.

    dtype: of linear layers and convolutions; all else is float32. Raises CheckpointError for missing or misshapen
    weights, for some that the module lacks, and for whole numbers.
    """
    state = module.state_dict()
    mine = {text_encoder_name(key): key for key in state}
    faults = [name for name, key in mine.items() if name not in tensors or tensors[name].shape != state[key].shape]
    if faults:
        raise CheckpointError(f"The file has no weights for the {what}, or of another shape: {listed(faults)}")
    _require_used(tensors, mine, what)
    layers = {name for name, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    dtypes = {True: dtype, False: torch.float32}
    own = {key: tensors[name].to(dtypes[key.rpartition(".")[0] in layers]) for name, key in mine.items()}
    module.load_state_dict(own, assign=True)
    return module


def _require_used(tensors: Tensors, names: Collection[str], what: str) -> None:
    """Raises CheckpointError for tensors that are not among the module's names, and for weights that are no floating
    point numbers.
    """
    if strange := [name for name in tensors if name not in names]:
        raise CheckpointError(f"The file's {what} has weights that would not be used: {listed(strange)}")
    if whole := [f"{name} ({tensor.dtype})" for name, tensor in tensors.items() if not tensor.is_floating_point()]:
        raise CheckpointError(f"The file's {what} has whole numbers as weights, which are not read: {listed(whole)}")

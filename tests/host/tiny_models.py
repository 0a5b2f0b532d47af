"""Small models in ComfyUI's own layouts, of random weights: what a host loads for a kind that no family of ours reads.

Imports no host. The text encoder is the embedded base's, whose words are 768 wide and pooled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

WIDTH, WORDS, CHANNELS, POSITIONS = 64, 768, 16, 32
"""Of the SD3: its width (one block for every 64), its words' width, its latents' channels, its positions a side."""

ATTENTION = ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out")
"""Of Qwen-Image."""


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def sd3_shapes() -> dict[str, tuple[int, ...]]:
    """{name: shape} of Stable Diffusion 3's denoiser of one block, as `diffusion_models/` holds it."""
    image, text = "joint_blocks.0.x_block", "joint_blocks.0.context_block"
    return {
        "pos_embed": (1, POSITIONS**2, WIDTH),
        "x_embedder.proj.weight": (WIDTH, CHANNELS, 2, 2),
        "x_embedder.proj.bias": (WIDTH,),
        **_linear("t_embedder.mlp.0", 256, WIDTH),
        **_linear("t_embedder.mlp.2", WIDTH, WIDTH),
        **_linear("y_embedder.mlp.0", WORDS, WIDTH),
        **_linear("y_embedder.mlp.2", WIDTH, WIDTH),
        **_linear("context_embedder", WORDS, WIDTH),
        **_linear(f"{text}.attn.qkv", WIDTH, 3 * WIDTH),
        **_linear(f"{text}.adaLN_modulation.1", WIDTH, 2 * WIDTH),
        **_linear(f"{image}.attn.qkv", WIDTH, 3 * WIDTH),
        **_linear(f"{image}.attn.proj", WIDTH, WIDTH),
        **_linear(f"{image}.mlp.fc1", WIDTH, 4 * WIDTH),
        **_linear(f"{image}.mlp.fc2", 4 * WIDTH, WIDTH),
        **_linear(f"{image}.adaLN_modulation.1", WIDTH, 6 * WIDTH),
        **_linear("final_layer.linear", WIDTH, 4 * CHANNELS),
        **_linear("final_layer.adaLN_modulation.1", WIDTH, 2 * WIDTH),
    }


def qwen_shapes() -> dict[str, tuple[int, ...]]:
    """{name: shape} of Qwen-Image's denoiser of one block with one head of 128."""
    wide, block = 128, "transformer_blocks.0"
    shapes = {
        **_linear("time_text_embed.timestep_embedder.linear_1", 256, wide),
        **_linear("time_text_embed.timestep_embedder.linear_2", wide, wide),
        "txt_norm.weight": (WORDS,),
        **_linear("img_in", 4 * CHANNELS, wide),
        **_linear("txt_in", WORDS, wide),
        **{f"{block}.attn.norm_{name}.weight": (wide,) for name in ("q", "k", "added_q", "added_k")},
        **_linear("norm_out.linear", wide, 2 * wide),
        **_linear("proj_out", wide, 4 * CHANNELS),
    }
    for name in ATTENTION:
        shapes |= _linear(f"{block}.attn.{name}", wide, wide)
    for half in ("img", "txt"):
        shapes |= _linear(f"{block}.{half}_mod.1", wide, 6 * wide)
        shapes |= _linear(f"{block}.{half}_mlp.net.0.proj", wide, 4 * wide)
        shapes |= _linear(f"{block}.{half}_mlp.net.2", 4 * wide, wide)
    return shapes


def qwen_text_shapes() -> dict[str, tuple[int, ...]]:
    """{name: shape} of Qwen-Image's own text encoder, as `text_encoders/` holds it: one layer of width 64 with four
    heads of 128, behind the vocabulary of the real one.
    """
    wide, heads, layer = 64, 512, "model.layers.0"
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (152_064, wide)}
    for name in ("q_proj", "k_proj", "v_proj"):
        shapes |= _linear(f"{layer}.self_attn.{name}", wide, heads)
    shapes[f"{layer}.self_attn.o_proj.weight"] = (wide, heads)
    shapes |= {f"{layer}.mlp.{name}_proj.weight": (wide, wide) for name in ("gate", "up", "down")}
    norms = (f"{layer}.input_layernorm", f"{layer}.post_attention_layernorm", "model.norm")
    return {**shapes, **{f"{name}.weight": (wide,) for name in norms}}


def random_weights(shapes: Mapping[str, tuple[int, ...]], seed: int = 0, scale: float = 1.0) -> dict[str, Tensor]:
    """Normal weights of these shapes, of a variance that keeps a layer's outputs as large as its inputs."""
    source = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=source) * scale / math.sqrt(max(1, math.prod(shape[1:])))
        for name, shape in shapes.items()
    }


SD3_LAYERS = [
    f"joint_blocks.0.{layer}"
    for layer in (
        "context_block.attn.qkv",
        "x_block.attn.qkv",
        "x_block.attn.proj",
        "x_block.mlp.fc1",
        "x_block.mlp.fc2",
    )
]
"""The layers of that denoiser that a LoRA of targets "transformer" has."""

QWEN_LAYERS = [
    *(f"transformer_blocks.0.attn.{name}" for name in ATTENTION),
    *(f"transformer_blocks.0.{half}_mlp.net.{layer}" for half in ("img", "txt") for layer in ("0.proj", "2")),
]
"""Those of Qwen-Image's."""

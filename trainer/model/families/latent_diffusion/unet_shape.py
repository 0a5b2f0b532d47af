"""A UNet's architecture, inferred from its weights' shapes: no configuration file is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ....files.safetensors import CheckpointError, Shapes
from ...keys import counted

DEPTH = "input_blocks.{}.1.transformer_blocks.{{}}.norm1.weight"
"""The key of a level's transformer blocks, by the index of the level's first block."""


@dataclass(frozen=True)
class UNetShape:
    """The architecture of a Stable Diffusion UNet.

    Per level, outermost first: channels; attention, the transformer depth (0: none). blocks: residual blocks per level.
    context: width of the text conditioning. linear_projection: whether transformers project by linear layers rather
    than by 1x1 convolutions.
    """

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    attention: tuple[int, ...]
    blocks: int
    context: int
    linear_projection: bool
    vector: int = 0
    """The width of the vector that SDXL is conditioned on besides the prompt; 0: none."""

    @property
    def heads_of_64(self) -> tuple[int, ...]:
        """The number of attention heads of 64 channels, per level."""
        return tuple(width // 64 for width in self.channels)

    def config(self, heads: int | tuple[int, ...]) -> dict[str, Any]:
        """The arguments of diffusers' UNet2DConditionModel. heads: attention heads, one number for all levels or one
        per level.
        """
        told = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": self.vector,
        }
        return (told if self.vector else {}) | {
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "block_out_channels": self.channels,
            "layers_per_block": self.blocks,
            "cross_attention_dim": self.context,
            "attention_head_dim": heads,
            "use_linear_projection": self.linear_projection,
            "transformer_layers_per_block": tuple(max(1, depth) for depth in self.attention),
            "down_block_types": tuple(_block("Down", depth) for depth in self.attention),
            "up_block_types": tuple(_block("Up", depth) for depth in self.attention[::-1]),
        }


def _block(way: str, depth: int) -> str:
    """diffusers' class of a level. way: "Down" or "Up"."""
    return f"CrossAttn{way}Block2D" if depth else f"{way}Block2D"


def unet_shape(shapes: Shapes, prefix: str) -> UNetShape:
    """The architecture of the UNet whose tensors in the original layout stand under `prefix`.

    Raises CheckpointError when they are not the tensors of such a UNet.
    """
    own = {key[len(prefix) :]: shape for key, shape in shapes.items() if key.startswith(prefix)}
    try:
        levels = _levels(own)
        return UNetShape(
            in_channels=own["input_blocks.0.0.weight"][1],
            out_channels=own["out.2.weight"][0],
            channels=tuple(own[f"input_blocks.{level[0]}.0.in_layers.2.weight"][0] for level in levels),
            attention=tuple(counted(own, DEPTH.format(level[0])) for level in levels),
            blocks=len(levels[0]),
            context=_first(own, "attn2.to_k.weight")[1],
            linear_projection=len(_first(own, "1.proj_in.weight")) == 2,
            vector=own.get("label_emb.0.0.weight", (0, 0))[1],
        )
    except (KeyError, StopIteration) as error:
        raise CheckpointError(f"The denoiser's weights are incomplete: {error} is missing.") from error


def _levels(own: Mapping[str, tuple[int, ...]]) -> list[list[int]]:
    """The indices of each level's `input_blocks`, without the downsampling ones."""
    levels: list[list[int]] = [[]]
    index = 1
    while any(key.startswith(f"input_blocks.{index}.") for key in own):
        if f"input_blocks.{index}.0.op.weight" in own:
            levels.append([])
        else:
            levels[-1].append(index)
        index += 1
    return levels


def _first(own: Mapping[str, tuple[int, ...]], ending: str) -> tuple[int, ...]:
    """The shape of the first tensor whose name ends so. Raises StopIteration without one."""
    return next(shape for key, shape in own.items() if key.endswith(ending))

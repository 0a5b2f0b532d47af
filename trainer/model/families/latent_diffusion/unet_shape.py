"""A UNet's architecture, inferred from its weights' shapes: no configuration file is needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ....files.safetensors import CheckpointError, Shapes
from ...keys import count_numbered

Depths = tuple[tuple[int, ...], ...]
"""{level: {residual block: its transformer's depth}}; 0: the block has no transformer."""


@dataclass(frozen=True)
class Blocks:
    """The residual blocks of a UNet and the depths of their transformers.

    down: of the encoder's levels, outermost first. up: of the decoder's, innermost first. middle: the depth in the
    middle; 0: one residual block without a transformer, None: no middle block.
    """

    down: Depths
    up: Depths
    middle: int | None

    @classmethod
    def even(cls, blocks: int, attention: tuple[int, ...]) -> Blocks:
        """As in Stable Diffusion's own models. blocks: residual blocks per encoder level; a decoder level has one more.

        attention: depth of each level, outermost first, 0 for none; the middle has that of the last, or 1.
        """
        down = tuple((depth,) * blocks for depth in attention)
        up = tuple((depth,) * (blocks + 1) for depth in attention[::-1])
        return cls(down, up, max(1, attention[-1]))


@dataclass(frozen=True)
class UNetShape:
    """The architecture of a Stable Diffusion UNet.

    channels: per level, outermost first. context: width of the text conditioning. linear_projection: whether
    transformers project by linear layers rather than by 1x1 convolutions.
    """

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    blocks: Blocks
    context: int
    linear_projection: bool
    vector: int = 0
    """The width of the vector that SDXL is conditioned on besides the prompt; 0: none."""
    labels: int = 0
    """The number of noise levels that an upscaler tells apart; 0: none."""
    crosses_only: tuple[bool, ...] = ()
    """Per level, outermost first: whether its transformers attend twice to the prompt, and not to the picture."""

    @property
    def heads_of_64(self) -> tuple[int, ...]:
        """The number of attention heads of 64 channels, per level."""
        return tuple(width // 64 for width in self.channels)

    def config(self, heads: int | tuple[int, ...]) -> dict[str, Any]:
        """The arguments of diffusers' UNet2DConditionModel. heads: attention heads, one number for all levels or one
        per level.

        Raises CheckpointError for an architecture that this class cannot be.
        """
        _require_buildable(self.blocks)
        told = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": self.vector,
        }
        labelled = {
            "num_class_embeds": self.labels,
            "only_cross_attention": self.crosses_only,
            "mid_block_only_cross_attention": False,
        }
        return (
            (told if self.vector else {})
            | (labelled if self.labels else {})
            | {
                "in_channels": self.in_channels,
                "out_channels": self.out_channels,
                "block_out_channels": self.channels,
                "layers_per_block": _plain([len(level) for level in self.blocks.down]),
                "cross_attention_dim": self.context,
                "attention_head_dim": heads,
                "use_linear_projection": self.linear_projection,
                "down_block_types": tuple(_block("Down", level) for level in self.blocks.down),
                "up_block_types": tuple(_block("Up", level) for level in self.blocks.up),
                **_depths(self.blocks),
            }
        )


def _block(way: str, level: tuple[int, ...]) -> str:
    """diffusers' class of a level. way: "Down" or "Up"."""
    return f"CrossAttn{way}Block2D" if any(level) else f"{way}Block2D"


def _depths(blocks: Blocks) -> dict[str, Any]:
    """diffusers' arguments for the transformers' depths and for the middle block."""
    down, up = [_depth(level) for level in blocks.down], [_depth(level) for level in blocks.up]
    if blocks.middle and not any(blocks.down[-1]):
        # diffusers takes the middle's depth from the last level, which does not use it here.
        down[-1] = blocks.middle
    kinds = {None: None, 0: "UNetMidBlock2D"}
    found: dict[str, Any] = {"transformer_layers_per_block": tuple(down)}
    if up != [_depth(level + level[-1:]) for level in blocks.down[::-1]] or any(isinstance(one, tuple) for one in down):
        found["reverse_transformer_layers_per_block"] = tuple(up)
    if not blocks.middle:
        found["mid_block_type"] = kinds[blocks.middle]
    return found


def _depth(level: tuple[int, ...]) -> int | tuple[int, ...]:
    """A level's depths as diffusers takes them: one number where all blocks have the same."""
    return max(1, level[0]) if len(set(level)) == 1 else level


def _plain(counts: list[int]) -> int | tuple[int, ...]:
    """One number where all levels have the same, else one per level."""
    return counts[0] if len(set(counts)) == 1 else tuple(counts)


def _require_buildable(blocks: Blocks) -> None:
    """Raises CheckpointError where diffusers' class cannot have these blocks."""
    wrong = ""
    if any(any(level) and not all(level) for level in (*blocks.down, *blocks.up)):
        wrong = "a level has transformers beside some of its blocks only"
    elif [len(level) for level in blocks.up] != [len(level) + 1 for level in blocks.down[::-1]]:
        wrong = "a decoder level has not one residual block more than its encoder level"
    elif blocks.middle and any(blocks.down[-1]) and blocks.middle != blocks.down[-1][0]:
        wrong = f"its middle transformer is {blocks.middle} deep, the one before {blocks.down[-1][0]}"
    if wrong:
        raise CheckpointError(f"The denoiser is a UNet that cannot be built here: {wrong}.")


def unet_shape(shapes: Shapes, prefix: str) -> UNetShape:
    """The architecture of the UNet whose tensors in the original layout stand under `prefix`.

    Raises CheckpointError when they are not the tensors of such a UNet.
    """
    own = {key[len(prefix) :]: shape for key, shape in shapes.items() if key.startswith(prefix)}
    try:
        down = _levels(own, "input_blocks", 1, _is_downsampler)
        up = _levels(own, "output_blocks", 0, _is_upsampled)
        return UNetShape(
            in_channels=own["input_blocks.0.0.weight"][1],
            out_channels=own["out.2.weight"][0],
            channels=tuple(own[f"input_blocks.{level[0]}.0.in_layers.2.weight"][0] for level in down),
            blocks=Blocks(
                _transformer_depths(own, "input_blocks", down),
                _transformer_depths(own, "output_blocks", up),
                _middle(own),
            ),
            context=_first(own, "attn2.to_k.weight")[1],
            linear_projection=len(_first(own, "1.proj_in.weight")) == 2,
            vector=own.get("label_emb.0.0.weight", (0, 0))[1],
            labels=own.get("label_emb.weight", (0,))[0],
            crosses_only=tuple(_crosses_only(own, level) for level in down),
        )
    except (IndexError, KeyError, StopIteration) as error:
        raise CheckpointError(f"The denoiser's weights are incomplete: {error} is missing.") from error


def _levels(
    own: Collection[str], part: str, start: int, ends: Callable[[Collection[str], int], bool]
) -> list[list[int]]:
    """The indices of each level's blocks with a residual block, from `start` on.

    ends: whether a level ends with the block of this index.
    """
    levels: list[list[int]] = [[]]
    index = start
    while any(key.startswith(f"{part}.{index}.") for key in own):
        if f"{part}.{index}.0.in_layers.2.weight" in own:
            levels[-1].append(index)
        if ends(own, index):
            levels.append([])
        index += 1
    return levels


def _is_downsampler(own: Collection[str], index: int) -> bool:
    """Whether this encoder block halves the picture."""
    return f"input_blocks.{index}.0.op.weight" in own


def _is_upsampled(own: Collection[str], index: int) -> bool:
    """Whether this decoder block ends by doubling the picture."""
    return any(f"output_blocks.{index}.{place}.conv.weight" in own for place in (1, 2))


def _transformer_depths(names: Collection[str], half: str, levels: list[list[int]]) -> Depths:
    """The number of transformer blocks after each residual block, by level, from the UNet's parameter names; 0 where
    there is no attention. half: "input_blocks" or "output_blocks". levels: the indices of each level's residual blocks.
    """
    pattern = f"{half}.%d.1.transformer_blocks.{{}}.norm1.weight"
    return tuple(tuple(count_numbered(names, pattern % index) for index in level) for level in levels)


def _crosses_only(own: Mapping[str, tuple[int, ...]], level: list[int]) -> bool:
    """Whether the first attention layer of this encoder level is as wide as the prompt; where the level is too, it
    attends to the picture. level: the indices of its blocks.
    """
    first = f"input_blocks.{level[0]}.1.transformer_blocks.0.attn1."
    if f"{first}to_k.weight" not in own:
        return False
    return own[f"{first}to_k.weight"][1] != own[f"{first}to_q.weight"][1]


def _middle(own: Collection[str]) -> int | None:
    """The depth of the transformer in the middle; see `Blocks`."""
    if "middle_block.0.in_layers.2.weight" not in own:
        return None
    return count_numbered(own, "middle_block.1.transformer_blocks.{}.norm1.weight")


def _first(own: Mapping[str, tuple[int, ...]], ending: str) -> tuple[int, ...]:
    """The shape of the first tensor whose name ends so. Raises StopIteration without one."""
    return next(shape for key, shape in own.items() if key.endswith(ending))

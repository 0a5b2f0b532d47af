"""A Stable Diffusion in several files, each in the original or in diffusers' layout.

"Our names" are the weights' names in this package: diffusers' for UNet and VAE, transformers' for CLIP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ....files.safetensors import CheckpointError, Shapes
from ...keys import KeyTable, count_numbered
from ...source import Files, Part, PartFiles, file_shapes
from .keys import (
    CLIP_L,
    CLIP_L_OF_TWO,
    DENOISER,
    MARKER_KEYS,
    OPEN_CLIP,
    OPEN_CLIP_OF_TWO,
    VAE,
    clip_table,
    denoiser_table,
    open_clip_table,
    vae_table,
)
from .unet_shape import Blocks, Depths

OPENAI_WIDTH = 768
"""The width of CLIP ViT-L, which distinguishes it from OpenCLIP's text encoders."""
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""{diffusers' earlier name of a VAE attention layer: its name today}."""
UNUSED = ("position_ids", "logit_scale", "text_projection.weight")
"""The ends of tensor names that a text encoder's own file may hold and that no Stable Diffusion uses."""


@dataclass(frozen=True)
class OriginalNames:
    """A function that renames the tensors of one component's files to original names.

    table: the component's names; None where the names are original already and may lack the prefix only.
    """

    file: str
    prefix: str
    table: KeyTable | None

    def __call__(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{original name: tensor}. Raises CheckpointError for a tensor that no Stable Diffusion has."""
        marks = {key: found[key] for key in MARKER_KEYS if key in found}
        found = {key: tensor for key, tensor in found.items() if key not in MARKER_KEYS}
        if self.table is None:
            return marks | {self.prefix + key.removeprefix(self.prefix): tensor for key, tensor in found.items()}
        ours = {_our_name(key): tensor for key, tensor in found.items()}
        unused = {k for k in ours if k.endswith(UNUSED) and self.table.original_name(k) is None}
        try:
            return marks | self.table.to_original({name: t for name, t in ours.items() if name not in unused})
        except KeyError as error:
            raise CheckpointError(f"{self.file!r} holds {error}, which no Stable Diffusion has.") from error


def latent_diffusion_parts(files: PartFiles) -> tuple[Part, ...] | None:
    """The components of a Stable Diffusion; CLIP-L has another prefix where there is a second text encoder.

    None where the denoiser is not a UNet. Raises CheckpointError for a text encoder or VAE of another kind.
    """
    denoiser = _denoiser_part(files.denoiser)
    if denoiser is None:
        return None
    several = len(files.text_encoders) > 1
    return denoiser, *(_text_part(text, several) for text in files.text_encoders), _vae_part(files.vae)


def _part(files: Files, prefix: str, table: KeyTable | None) -> Part:
    """One component of these files."""
    return Part(files, prefix, OriginalNames(files[0].name, prefix, table))


def _denoiser_part(files: Files) -> Part | None:
    """The UNet; None where the files hold another denoiser."""
    shapes = file_shapes(files)
    if any(key.removeprefix(DENOISER).startswith("input_blocks.") for key in shapes):
        return _part(files, DENOISER, None)
    levels = count_numbered(shapes, "down_blocks.{}.resnets.0.conv1.weight")
    if not levels:
        return None
    return _part(files, DENOISER, denoiser_table(DENOISER, _blocks(shapes), "class_embedding.weight" in shapes))


def _blocks(shapes: Shapes) -> Blocks:
    """The blocks of a UNet in diffusers' layout."""
    middle = None
    if "mid_block.resnets.0.conv1.weight" in shapes:
        middle = count_numbered(shapes, "mid_block.attentions.0.transformer_blocks.{}.norm1.weight")
    return Blocks(_depths(shapes, "down_blocks"), _depths(shapes, "up_blocks"), middle)


def _depths(shapes: Shapes, part: str) -> Depths:
    """The depths of the transformers in a UNet's encoder or decoder, in diffusers' layout."""
    levels = range(count_numbered(shapes, f"{part}.{{}}.resnets.0.conv1.weight"))
    blocks = [count_numbered(shapes, f"{part}.{level}.resnets.{{}}.conv1.weight") for level in levels]
    depth = f"{part}.%d.attentions.%d.transformer_blocks.{{}}.norm1.weight"
    return tuple(tuple(count_numbered(shapes, depth % (level, i)) for i in range(blocks[level])) for level in levels)


def _vae_part(files: Files) -> Part:
    """The VAE. Raises CheckpointError for files that hold no VAE with an encoder."""
    shapes = file_shapes(files)
    if any(key.removeprefix(VAE).startswith("encoder.down.") for key in shapes):
        return _part(files, VAE, None)
    levels = count_numbered(shapes, "encoder.down_blocks.{}.resnets.0.conv1.weight")
    if not levels:
        raise CheckpointError(f"{files[0].name!r} holds no VAE with an encoder.")
    blocks = count_numbered(shapes, "encoder.down_blocks.0.resnets.{}.conv1.weight")
    return _part(files, VAE, vae_table(VAE, blocks, levels))


def _text_part(files: Files, one_of_two: bool) -> Part:
    """The text encoder in these files, CLIP or OpenCLIP. one_of_two: whether the model has two, as SDXL; OpenCLIP then
    has a projection. Raises CheckpointError where the files hold neither.
    """
    shapes = {_our_name(key): shape for key, shape in file_shapes(files).items()}
    if "transformer.resblocks.0.ln_1.weight" in shapes:
        return _part(files, OPEN_CLIP_OF_TWO if one_of_two else OPEN_CLIP, None)
    embedding = shapes.get("embeddings.token_embedding.weight")
    if embedding is None:
        raise CheckpointError(f"{files[0].name!r} holds no CLIP text encoder.")
    if embedding[1] == OPENAI_WIDTH:
        prefix = CLIP_L_OF_TWO if one_of_two else CLIP_L
        return _part(files, prefix, clip_table(prefix))
    prefix = OPEN_CLIP_OF_TWO if one_of_two else OPEN_CLIP
    return _part(files, prefix, open_clip_table(prefix, count_numbered(shapes, "encoder.layers.{}.mlp.fc1.weight")))


def _our_name(key: str) -> str:
    """A tensor's name without transformers 4's `text_model.`, and with today's names of the VAE's attention layers."""
    head, _, module = key.removeprefix("text_model.").rpartition(".attentions.0.")
    name, _, kind = module.partition(".")
    if head.endswith("mid_block") and name in OLD_ATTENTION:
        return f"{head}.attentions.0.{OLD_ATTENTION[name]}.{kind}"
    return key.removeprefix("text_model.")

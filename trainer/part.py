"""One component of a model in files of its own, in the original or in diffusers' layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import CheckpointError, Shapes, counted, read_shapes, read_tensors
from .keys import KeyTable
from .layouts import (
    CLIP_L,
    CLIP_L_OF_TWO,
    DENOISER,
    MARKS,
    OPEN_CLIP,
    OPEN_CLIP_OF_TWO,
    VAE,
    clip_table,
    denoiser_table,
    open_clip_table,
    vae_table,
)

OPENAI_WIDTH = 768
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
UNUSED = ("position_ids", "logit_scale", "text_projection.weight")
"""What a text encoder's own file may bring along and no Stable Diffusion asks for."""


@dataclass(frozen=True)
class Part:
    """One component: what its files hold, brought under original names by `table`; None: by the prefix alone."""

    files: tuple[Path, ...]
    prefix: str
    table: KeyTable | None

    @property
    def shapes(self) -> Shapes:
        """By original name, from the files' headers."""
        empty = {key: torch.empty(shape, device="meta") for f in self.files for key, shape in read_shapes(f).items()}
        return {key: tuple(tensor.shape) for key, tensor in self._original(empty).items()}

    def tensors(self) -> dict[str, Tensor]:
        """By original name."""
        return self._original({key: tensor for file in self.files for key, tensor in read_tensors(file).items()})

    def _original(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        marks = {key: found[key] for key in MARKS if key in found}
        found = {key: tensor for key, tensor in found.items() if key not in MARKS}
        if self.table is None:
            return marks | {self.prefix + key.removeprefix(self.prefix): tensor for key, tensor in found.items()}
        ours = {_our_name(key): tensor for key, tensor in found.items()}
        unused = {k for k in ours if k.endswith(UNUSED) and self.table.original_name(k) is None}
        try:
            return marks | self.table.original({name: t for name, t in ours.items() if name not in unused})
        except KeyError as error:
            raise CheckpointError(f"{self.files[0].name!r} holds {error}, which no Stable Diffusion has.") from error


def denoiser_part(files: tuple[Path, ...]) -> Part:
    """A UNet's files, in either layout. Raises CheckpointError where they hold none."""
    shapes = _shapes(files)
    if any(key.removeprefix(DENOISER).startswith("input_blocks.") for key in shapes):
        return Part(files, DENOISER, None)
    levels = counted(shapes, "down_blocks.{}.resnets.0.conv1.weight")
    if not levels:
        raise CheckpointError(f"{files[0].name!r} holds no UNet: neither input_blocks nor down_blocks.")
    depth = "down_blocks.%d.attentions.0.transformer_blocks.{}.norm1.weight"
    attention = tuple(counted(shapes, depth % level) for level in range(levels))
    blocks = counted(shapes, "down_blocks.0.resnets.{}.conv1.weight")
    return Part(files, DENOISER, denoiser_table(DENOISER, blocks, attention))


def vae_part(files: tuple[Path, ...]) -> Part:
    """A VAE's files, in either layout. Raises CheckpointError where they hold none with an encoder."""
    shapes = _shapes(files)
    if any(key.removeprefix(VAE).startswith("encoder.down.") for key in shapes):
        return Part(files, VAE, None)
    levels = counted(shapes, "encoder.down_blocks.{}.resnets.0.conv1.weight")
    if not levels:
        raise CheckpointError(f"{files[0].name!r} holds no VAE with an encoder.")
    blocks = counted(shapes, "encoder.down_blocks.0.resnets.{}.conv1.weight")
    return Part(files, VAE, vae_table(VAE, blocks, levels))


def text_parts(encoders: Sequence[tuple[Path, ...]]) -> list[Part]:
    """Text encoders' files; CLIP-L stands under another name where a second encoder is beside it.

    Raises CheckpointError where they hold none.
    """
    several = len(encoders) > 1
    return [_text_part(files, several) for files in encoders]


def _text_part(files: tuple[Path, ...], one_of_two: bool) -> Part:
    shapes = {_our_name(key): shape for key, shape in _shapes(files).items()}
    if "transformer.resblocks.0.ln_1.weight" in shapes:
        return Part(files, OPEN_CLIP_OF_TWO if one_of_two else OPEN_CLIP, None)
    embedding = shapes.get("embeddings.token_embedding.weight")
    if embedding is None:
        raise CheckpointError(f"{files[0].name!r} holds no CLIP text encoder.")
    if embedding[1] == OPENAI_WIDTH:
        prefix = CLIP_L_OF_TWO if one_of_two else CLIP_L
        return Part(files, prefix, clip_table(prefix))
    prefix = OPEN_CLIP_OF_TWO if one_of_two else OPEN_CLIP
    return Part(files, prefix, open_clip_table(prefix, counted(shapes, "encoder.layers.{}.mlp.fc1.weight")))


def _our_name(key: str) -> str:
    """Without transformers 4's `text_model.`; the VAE's attention under its present names."""
    head, _, module = key.removeprefix("text_model.").rpartition(".attentions.0.")
    name, _, kind = module.partition(".")
    if head.endswith("mid_block") and name in OLD_ATTENTION:
        return f"{head}.attentions.0.{OLD_ATTENTION[name]}.{kind}"
    return key.removeprefix("text_model.")


def _shapes(files: Sequence[Path]) -> dict[str, tuple[int, ...]]:
    return {key: shape for file in files for key, shape in read_shapes(file).items()}

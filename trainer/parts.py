"""A model in several files: a diffusers folder, or a denoiser with its text encoders and VAE beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import CheckpointError, Shapes, read_shapes, read_tensors
from .keys import KeyTable
from .layouts import clip_table, denoiser_table, open_clip_table, vae_table

DENOISER, VAE = "model.diffusion_model.", "first_stage_model."
CLIP_L, CLIP_L_OF_TWO = "cond_stage_model.transformer.text_model.", "conditioner.embedders.0.transformer.text_model."
OPEN_CLIP, OPEN_CLIP_OF_TWO = "cond_stage_model.model.", "conditioner.embedders.1.model."
OPENAI_WIDTH = 768
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
UNUSED = ("position_ids", "logit_scale", "text_projection.weight")
"""What a text encoder's own file may bring along and no Stable Diffusion asks for."""
WEIGHTS = ("diffusion_pytorch_model", "model")


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
        if self.table is None:
            return {self.prefix + key.removeprefix(self.prefix): tensor for key, tensor in found.items()}
        ours = {_our_name(key): tensor for key, tensor in found.items()}
        unused = {k for k in ours if k.endswith(UNUSED) and self.table.original_name(k) is None}
        return self.table.original({name: tensor for name, tensor in ours.items() if name not in unused})


@dataclass(frozen=True)
class Parts:
    """A `Source` made of parts. Only one denoiser, one VAE, and one or two text encoders make a model."""

    name: str
    parts: tuple[Part, ...]
    hints: Mapping[str, str]

    @cached_property
    def shapes(self) -> Shapes:
        """By original name."""
        return {key: shape for part in self.parts for key, shape in part.shapes.items()}

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """By original name, those that start with `prefix`."""
        wanted = [p for p in self.parts if p.prefix.startswith(prefix) or prefix.startswith(p.prefix)]
        return {key: t for part in wanted for key, t in part.tensors().items() if key.startswith(prefix)}


def separate_files(denoiser: Path, text_encoders: Sequence[Path], vae: Path) -> Parts:
    """A denoiser's file, its text encoders' and its VAE's, each in the original or in diffusers' layout.

    Raises CheckpointError for a file that is not what it is given as.
    """
    encoders = _text_parts([(file,) for file in text_encoders])
    return Parts(denoiser.name, (_denoiser_part((denoiser,)), *encoders, _vae_part((vae,))), {})


def diffusers_folder(folder: Path) -> Parts:
    """A folder as diffusers' `save_pretrained` writes it, with safetensors. Raises CheckpointError otherwise."""
    config = folder / "scheduler" / "scheduler_config.json"
    if not (folder / "unet").is_dir() or not config.is_file():
        raise CheckpointError(
            f"{folder.name!r} is no diffusers folder that can be trained: it has no unet/ or no "
            "scheduler/scheduler_config.json. Name such a folder, or a .safetensors checkpoint."
        )
    said = json.loads(config.read_text(encoding="utf-8"))
    names = [name for name in ("text_encoder", "text_encoder_2") if (folder / name).is_dir()]
    encoders = _text_parts([_weights(folder / name) for name in names])
    parts = (_denoiser_part(_weights(folder / "unet")), *encoders, _vae_part(_weights(folder / "vae")))
    hints = {"prediction_type": said.get("prediction_type", "epsilon")}
    if said.get("rescale_betas_zero_snr"):
        hints["zero_snr"] = "true"
    return Parts(folder.name, parts, hints)


def _weights(folder: Path) -> tuple[Path, ...]:
    """The weights of a component, in one file or in several by their index; fp32 before fp16."""
    for stem in (f"{name}{variant}" for variant in ("", ".fp16") for name in WEIGHTS):
        if (folder / f"{stem}.safetensors").is_file():
            return (folder / f"{stem}.safetensors",)
        index = folder / f"{stem}.safetensors.index.json"
        if index.is_file():
            listed = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            return tuple(folder / Path(name).name for name in sorted(listed))
    raise CheckpointError(f"{folder.parent.name!r} has no {folder.name}/*.safetensors; .bin and .ckpt are not read.")


def _denoiser_part(files: tuple[Path, ...]) -> Part:
    shapes = _shapes(files)
    if any(key.removeprefix(DENOISER).startswith("input_blocks.") for key in shapes):
        return Part(files, DENOISER, None)
    levels = _counted(shapes, "down_blocks.{}.resnets.0.conv1.weight")
    if not levels:
        raise CheckpointError(f"{files[0].name!r} holds no UNet: neither input_blocks nor down_blocks.")
    depth = "down_blocks.%d.attentions.0.transformer_blocks.{}.norm1.weight"
    attention = tuple(_counted(shapes, depth % level) for level in range(levels))
    blocks = _counted(shapes, "down_blocks.0.resnets.{}.conv1.weight")
    return Part(files, DENOISER, denoiser_table(DENOISER, blocks, attention))


def _vae_part(files: tuple[Path, ...]) -> Part:
    shapes = _shapes(files)
    if any(key.removeprefix(VAE).startswith("encoder.down.") for key in shapes):
        return Part(files, VAE, None)
    levels = _counted(shapes, "encoder.down_blocks.{}.resnets.0.conv1.weight")
    if not levels:
        raise CheckpointError(f"{files[0].name!r} holds no VAE with an encoder.")
    blocks = _counted(shapes, "encoder.down_blocks.0.resnets.{}.conv1.weight")
    return Part(files, VAE, vae_table(VAE, blocks, levels))


def _text_parts(encoders: Sequence[tuple[Path, ...]]) -> list[Part]:
    """CLIP-L stands under another name where a second encoder is beside it."""
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
    return Part(files, prefix, open_clip_table(prefix, _counted(shapes, "encoder.layers.{}.mlp.fc1.weight")))


def _our_name(key: str) -> str:
    """Without transformers 4's `text_model.`; the VAE's attention under its present names."""
    head, _, module = key.removeprefix("text_model.").rpartition(".attentions.0.")
    name, _, kind = module.partition(".")
    if head.endswith("mid_block") and name in OLD_ATTENTION:
        return f"{head}.attentions.0.{OLD_ATTENTION[name]}.{kind}"
    return key.removeprefix("text_model.")


def _shapes(files: Sequence[Path]) -> dict[str, tuple[int, ...]]:
    return {key: shape for file in files for key, shape in read_shapes(file).items()}


def _counted(shapes: Mapping[str, object], pattern: str) -> int:
    count = 0
    while pattern.format(count) in shapes:
        count += 1
    return count

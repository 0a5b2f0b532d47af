"""A model in several files: a diffusers folder, or a denoiser with its text encoders and VAE beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from .checkpoint import CheckpointError, Shapes
from .part import Part, denoiser_part, text_parts, vae_part
from .source import CheckpointFile

WEIGHTS = ("diffusion_pytorch_model", "model")


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
    encoders = text_parts([(file,) for file in text_encoders])
    return Parts(
        denoiser.name, (denoiser_part((denoiser,)), *encoders, vae_part((vae,))), CheckpointFile(denoiser).hints
    )


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
    encoders = text_parts([_weights(folder / name) for name in names])
    parts = (denoiser_part(_weights(folder / "unet")), *encoders, vae_part(_weights(folder / "vae")))
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

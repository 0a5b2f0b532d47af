"""A model in several files: a diffusers folder, or a denoiser with its text encoders and VAE beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ..files.safetensors import CheckpointError, Shapes
from .part import Files, Part, PartFiles
from .source import EDM

WEIGHTS = ("diffusion_pytorch_model", "model")


@dataclass(frozen=True)
class Parts:
    """A `Source` made of parts: one denoiser, one VAE, and as many text encoders as its family has."""

    name: str
    parts: tuple[Part, ...]
    hints: Mapping[str, str]

    @cached_property
    def shapes(self) -> Shapes:
        """By original name."""
        return {key: shape for part in self.parts for key, shape in part.shapes.items()}

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """By original name, those that start with `prefix`."""
        # Not by the parts' own prefixes: a mark, such as v_pred, has none.
        wanted = [part for part in self.parts if any(key.startswith(prefix) for key in part.shapes)]
        return {key: t for part in wanted for key, t in part.tensors().items() if key.startswith(prefix)}


def folder_files(folder: Path, denoisers: Iterable[str]) -> tuple[PartFiles, dict[str, str]]:
    """The files of a folder as diffusers' `save_pretrained` writes it, with safetensors; its scheduler's hints.

    denoisers: what the denoiser's folder may be called. Raises CheckpointError for any other folder.
    """
    names = list(dict.fromkeys(denoisers))
    config = folder / "scheduler" / "scheduler_config.json"
    denoiser = next((folder / name for name in names if (folder / name).is_dir()), None)
    if denoiser is None or not config.is_file():
        raise CheckpointError(
            f"{folder.name!r} is no diffusers folder that can be trained: it has no "
            f"{' or '.join(f'{name}/' for name in names)}, or no scheduler/scheduler_config.json. Name such a folder, "
            "or a .safetensors checkpoint."
        )
    encoders = sorted(path for path in folder.glob("text_encoder*") if path.is_dir())
    files = PartFiles(_weights(denoiser), tuple(_weights(path) for path in encoders), _weights(folder / "vae"))
    said = json.loads(config.read_text(encoding="utf-8"))
    if str(said.get("_class_name")).startswith("EDM"):
        said["prediction_type"] = EDM
    zero_snr = {"zero_snr": "true"} if said.get("rescale_betas_zero_snr") else {}
    return files, {"prediction_type": said.get("prediction_type", "epsilon"), **zero_snr}


def _weights(folder: Path) -> Files:
    """The weights of a component, in one file or in several by their index; fp32 before fp16."""
    for stem in (f"{name}{variant}" for variant in ("", ".fp16") for name in WEIGHTS):
        if (folder / f"{stem}.safetensors").is_file():
            return (folder / f"{stem}.safetensors",)
        index = folder / f"{stem}.safetensors.index.json"
        if index.is_file():
            listed = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            return tuple(folder / Path(name).name for name in sorted(listed))
    raise CheckpointError(f"{folder.parent.name!r} has no {folder.name}/*.safetensors; .bin and .ckpt are not read.")

"""The files of a pretrained model. In whatever form, their tensors are accessed by the original layout's names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..files.contents import Contents, kind_of
from ..files.safetensors import CheckpointError, Shapes, read_metadata, read_shapes, read_tensors

EDM = "edm"
"""The value of the hint "prediction_type" for EDM models (Karras et al.'s noise levels: CosXL, Playground 2.5), whose
noise process this package does not train.
"""


class Source(Protocol):
    """A model on disk whose tensors have the names of a checkpoint in the original layout."""

    @property
    def name(self) -> str:
        """The model's name in error messages and metadata."""

    @property
    def shapes(self) -> Shapes:
        """{name: shape} of all tensors."""

    @property
    def hints(self) -> Mapping[str, str]:
        """Facts that the weights do not show, such as "prediction_type"."""

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """The tensors whose name starts with `prefix`, in the files' own dtype."""


class CheckpointFile:
    """A model in one .safetensors file in the original layout. Raises CheckpointError for a damaged file."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self.name = name or path.name

    @cached_property
    def shapes(self) -> Shapes:
        """{name: shape} of all tensors, from the file's header."""
        return read_shapes(self.path)

    @cached_property
    def hints(self) -> Mapping[str, str]:
        """The modelspec fields of the file's header, without their prefix."""
        found = read_metadata(self.path)
        return {key.removeprefix("modelspec."): value for key, value in found.items() if key.startswith("modelspec.")}

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """The tensors whose name starts with `prefix`, in the file's own dtype."""
        return read_tensors(self.path, prefix)


def contents_of(source: Source) -> Contents:
    """All tensors of a source, read when they are accessed, so that no more is in memory than is in use.

    Where a component's files have another layout, its tensors are converted again at every access to that component.
    """
    # The file is memory-mapped: of a tensor, only the pages that are accessed are read.
    kinds = {key: kind_of(tensor) for key, tensor in source.tensors().items()}
    return Contents(kinds, lambda keys: source.tensors(_shared_start(min(keys), max(keys))))


def _shared_start(one: str, other: str) -> str:
    """The longest common prefix of two strings."""
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


Files = tuple[Path, ...]
"""The weights of one component, in one file or several."""


@dataclass(frozen=True)
class PartFiles:
    """A model's files by component, as the user named them."""

    denoiser: Files
    text_encoders: tuple[Files, ...]
    vae: Files


@dataclass(frozen=True)
class Part:
    """One component of a model in several files. prefix: of its original names. original: renames the files' tensors to
    original names.
    """

    files: Files
    prefix: str
    original: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]

    @cached_property
    def shapes(self) -> Shapes:
        """{original name: shape}, from the files' headers."""
        empty = {key: torch.empty(shape, device="meta") for key, shape in file_shapes(self.files).items()}
        return {key: tuple(tensor.shape) for key, tensor in self.original(empty).items()}

    def tensors(self) -> dict[str, Tensor]:
        """{original name: tensor}."""
        return self.original({key: tensor for file in self.files for key, tensor in read_tensors(file).items()})


def file_shapes(files: Files) -> dict[str, tuple[int, ...]]:
    """{name: shape} of all tensors, under the files' own names."""
    return {key: shape for file in files for key, shape in read_shapes(file).items()}


WEIGHTS = ("diffusion_pytorch_model", "model")
"""The names of a diffusers component's weight files, without variant and ending."""


@dataclass(frozen=True)
class Parts:
    """A `Source` made of components in separate files: one denoiser, one VAE, and its family's number of
    text encoders.
    """

    name: str
    parts: tuple[Part, ...]
    hints: Mapping[str, str]

    @cached_property
    def shapes(self) -> Shapes:
        """{original name: shape} of all components."""
        return {key: shape for part in self.parts for key, shape in part.shapes.items()}

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """{original name: tensor} for the names that start with `prefix`."""
        # Not by the parts' own prefixes: marker tensors such as v_pred have none.
        wanted = [part for part in self.parts if any(key.startswith(prefix) for key in part.shapes)]
        return {key: t for part in wanted for key, t in part.tensors().items() if key.startswith(prefix)}


def folder_files(folder: Path, denoisers: Iterable[str]) -> tuple[PartFiles, dict[str, str]]:
    """The files of a diffusers folder (written by `save_pretrained` with safetensors), and the hints of its scheduler.

    denoisers: the possible names of the denoiser's folder. Raises CheckpointError for any other folder.
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
    """The weight files of a component, one or several listed by an index; fp32 before fp16. Raises CheckpointError."""
    for stem in (f"{name}{variant}" for variant in ("", ".fp16") for name in WEIGHTS):
        if (folder / f"{stem}.safetensors").is_file():
            return (folder / f"{stem}.safetensors",)
        index = folder / f"{stem}.safetensors.index.json"
        if index.is_file():
            listed = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            return tuple(folder / Path(name).name for name in sorted(listed))
    raise CheckpointError(f"{folder.parent.name!r} has no {folder.name}/*.safetensors; .bin and .ckpt are not read.")


META = torch.device("meta")
"""The device of tensors without values."""


@dataclass(frozen=True)
class Hollow:
    """A source whose tensors are on the meta device and take no memory."""

    name: str
    shapes: Shapes
    hints: Mapping[str, str]

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """The tensors whose name starts with `prefix`, on the meta device, in float32."""
        return {key: torch.empty(s, device=META) for key, s in self.shapes.items() if key.startswith(prefix)}


@dataclass(frozen=True)
class KnownShapes:
    """A source of which only names and shapes are known."""

    name: str
    shapes: Shapes
    hints: Mapping[str, str] = field(default_factory=dict)

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Raises CheckpointError: the weights are not available."""
        raise CheckpointError(f"The weights of {self.name!r} are not kept; give the base.")

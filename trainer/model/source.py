"""The files of a pretrained model. In whatever form, their tensors are accessed by the original layout's names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..files.lazy_tensors import LazyTensors, spec_of
from ..files.quantized import iterate_weights, read_weights
from ..files.safetensors import Shapes, read_metadata
from ..files.weight_names import weight_shapes

EDM = "edm"
"""The value of the hint "prediction_type" for EDM models (Karras et al.'s noise levels: CosXL, Playground 2.5), whose
noise process this package does not train.
"""


PARAMETERIZATION = re.compile(r"""^\s*parameterization:\s*["']?(\w+)""", re.MULTILINE)
"""The line of a configuration in Stability's layout that tells the prediction type: "v" or "eps"."""
LARGEST_CONFIG = 1_000_000
"""Bytes of such a configuration at most."""


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
    """A model in one .safetensors file in the original layout. Raises CheckpointError for a damaged file.

    known: hints that are known without the file, which may say otherwise.
    """

    def __init__(self, path: Path, name: str | None = None, known: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.name = name or path.name
        self._known = dict(known or {})

    @cached_property
    def shapes(self) -> Shapes:
        """{name: shape} of all tensors but scales, from the file's header."""
        return weight_shapes(self.path)

    @cached_property
    def hints(self) -> Mapping[str, str]:
        """The modelspec fields of the file's header, without their prefix; else what a .yaml beside it says, as the
        WebUI reads it.
        """
        found = read_metadata(self.path)
        said = {key.removeprefix("modelspec."): value for key, value in found.items() if key.startswith("modelspec.")}
        return {**_said_beside(self.path), **self._known, **said}

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """The tensors whose name starts with `prefix`; scales are multiplied in, see `quantized`."""
        return read_weights(self.path, prefix)


def _said_beside(file: Path) -> dict[str, str]:
    """The prediction type in the configuration `<name>.yaml` beside a checkpoint; empty where it says none."""
    config = file.with_suffix(".yaml")
    if not config.is_file() or config.stat().st_size > LARGEST_CONFIG:
        return {}
    said = PARAMETERIZATION.search(config.read_text(encoding="utf-8", errors="replace"))
    return {"prediction_type": said[1]} if said else {}


def lazy_tensors_of(source: Source) -> LazyTensors:
    """All tensors of a source, read when they are accessed, so that no more is in memory than is in use.

    A file is memory-mapped: of a tensor, only the pages that are accessed are read. Where a component's files have
    another layout, its tensors are converted again at every access to that component.
    """
    if isinstance(source, CheckpointFile):
        path = source.path
        kinds = {key: spec_of(tensor) for key, tensor in iterate_weights(path, lambda key: True)}
        return LazyTensors(kinds, lambda keys: dict(iterate_weights(path, set(keys).__contains__)))
    kinds = {key: spec_of(tensor) for key, tensor in source.tensors().items()}
    return LazyTensors(kinds, lambda keys: source.tensors(_shared_start(min(keys), max(keys))))


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
        return self.original({key: tensor for file in self.files for key, tensor in read_weights(file).items()})


def file_shapes(files: Files) -> dict[str, tuple[int, ...]]:
    """{name: shape} of all tensors, under the files' own names."""
    return {key: shape for file in files for key, shape in weight_shapes(file).items()}


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


META = torch.device("meta")
"""The device of tensors without values."""


@dataclass(frozen=True)
class ShapesOnly:
    """A source of which only names and shapes are known: its tensors are on the meta device and take no memory."""

    name: str
    shapes: Shapes
    hints: Mapping[str, str] = field(default_factory=dict)

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """The tensors whose name starts with `prefix`, on the meta device, in float32."""
        return {key: torch.empty(s, device=META) for key, s in self.shapes.items() if key.startswith(prefix)}

"""One component of a model in files of its own; which of them make a model, its family decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..files.safetensors import Shapes, read_shapes, read_tensors

Files = tuple[Path, ...]
"""One component's weights, in one file or in several."""


@dataclass(frozen=True)
class PartFiles:
    """A model's files, each as what it was given."""

    denoiser: Files
    text_encoders: tuple[Files, ...]
    vae: Files


@dataclass(frozen=True)
class Part:
    """One component. prefix: of its original names. original: brings what the files hold under these names."""

    files: Files
    prefix: str
    original: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]

    @cached_property
    def shapes(self) -> Shapes:
        """By original name, from the files' headers."""
        empty = {key: torch.empty(shape, device="meta") for key, shape in file_shapes(self.files).items()}
        return {key: tuple(tensor.shape) for key, tensor in self.original(empty).items()}

    def tensors(self) -> dict[str, Tensor]:
        """By original name."""
        return self.original({key: tensor for file in self.files for key, tensor in read_tensors(file).items()})


def file_shapes(files: Files) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors, as the files have them."""
    return {key: shape for file in files for key, shape in read_shapes(file).items()}

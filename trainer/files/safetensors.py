"""Safetensors in and out: headers read without the weights, files written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from . import contents
from .atomic import write_whole

Shapes = Mapping[str, tuple[int, ...]]


class CheckpointError(ValueError):
    """A file that is not what it should be; the message names the file and the way out."""


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors in a .safetensors file; no weight is read.

    Raises CheckpointError when the file is missing, torn, or not safetensors.
    """
    with _open(path) as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in _names(file)}


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata of a .safetensors file; empty where it has none."""
    with _open(path) as file:
        return dict(file.metadata() or {})


def read_tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """All tensors whose name starts with `prefix`, on the CPU, in the file's own dtype."""
    with _open(path) as file:
        return {key: file.get_tensor(key) for key in _names(file) if key.startswith(prefix)}


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> Path:
    """Write a .safetensors file under a temporary name in the same folder, then rename it."""
    return write_whole(path, lambda part: contents.save_tensors(tensors, part, metadata))


def _names(file: Any) -> list[str]:
    return list(file.keys())


def _open(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"There is no file {path.name!r} in {path.parent}.")
    try:
        return safe_open(path, framework="pt", device="cpu")
    except SafetensorError as error:
        raise CheckpointError(
            f"{path.name!r} is not a whole .safetensors file ({error}). Fetch or save it again; "
            "other formats (.ckpt, .pt) can run code when opened and are not read."
        ) from error


def to_dtype(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The floating tensors cast to `dtype`; integer tensors as they are."""
    return {key: t.to(dtype) if t.is_floating_point() else t for key, t in tensors.items()}

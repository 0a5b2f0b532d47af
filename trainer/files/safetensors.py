"""Reading and writing .safetensors files: headers without the weights, tensors, and atomic writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from .atomic import write_atomically
from .foreign_files import foreign_kind

if TYPE_CHECKING:
    # A host that trains in another process may have another torch, or none.
    import torch
    from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]
"""{tensor name: shape}."""


class CheckpointError(ValueError):
    """A file that is missing, damaged or of another kind than expected; the message names the file and what to do."""


SHOWN = 5
"""The most names that an error message lists."""


def listed(names: Iterable[str], shown: int = SHOWN) -> str:
    """The first few names, sorted, and the number of all where there are more; for messages."""
    ordered = sorted(names)
    few = ", ".join(ordered[:shown])
    return few if len(ordered) <= shown else f"{few} … ({len(ordered)} in all)"


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of all tensors in a .safetensors file; no weight is read.

    Raises CheckpointError when the file is missing, truncated, or not safetensors.
    """
    with open_file(path) as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in tensor_names(file)}


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata in the header of a .safetensors file; empty where it has none. Raises CheckpointError."""
    with open_file(path) as file:
        return dict(file.metadata() or {})


def read_tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """All tensors whose name starts with `prefix`, on the CPU, in the file's own dtype. Raises CheckpointError."""
    with open_file(path) as file:
        return {key: file.get_tensor(key) for key in tensor_names(file) if key.startswith(prefix)}


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> Path:
    """Write a .safetensors file atomically: under a temporary name in the same folder, then renamed."""
    from .lazy_tensors import save_tensors

    return write_atomically(path, lambda part: save_tensors(tensors, part, metadata))


def tensor_names(file: Any) -> list[str]:
    """The names of all tensors in an open file, in a list: `safe_open`'s handle cannot be iterated over."""
    return list(file.keys())


def open_file(path: Path) -> Any:
    """The file opened by `safe_open`, on the CPU. Raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"There is no file {path.name!r} in {path.parent}.")
    try:
        return safe_open(path, framework="pt", device="cpu")
    except SafetensorError as error:
        if kind := foreign_kind(path):
            raise CheckpointError(f"{path.name!r} {kind}.") from error
        raise CheckpointError(
            f"{path.name!r} is not a whole .safetensors file ({error}). Fetch or save it again; "
            "other formats (.ckpt, .pt) can run code when opened and are not read."
        ) from error


def to_dtype(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors with floating-point ones cast to `dtype`, and all others unchanged."""
    return {key: t.to(dtype) if t.is_floating_point() else t for key, t in tensors.items()}

"""Safetensors in and out: headers read without the weights, files written whole or not at all."""

from __future__ import annotations

import itertools
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from . import contents

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


def write_json(value: Any, path: Path) -> Path:
    """Write JSON as a whole or not at all, keys in the order given."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def numbered(folder: Path, name: str, suffix: str = ".safetensors") -> Path:
    """`folder/name_00001suffix`, or the next number that no file has: nothing is overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = numbered_files(folder, name, suffix)
    return folder / f"{name}_{max(taken, default=0) + 1:05d}{suffix}"


def numbered_files(folder: Path, name: str, suffix: str = ".safetensors") -> dict[int, Path]:
    """{number: file} of all that `numbered` has named so."""
    pattern = re.compile(rf"{re.escape(name)}_(\d{{5}}){re.escape(suffix)}", re.IGNORECASE)
    return {int(hit[1]): file for file in folder.iterdir() if (hit := pattern.fullmatch(file.name))}


def write_whole(path: Path, write: Callable[[Path], Any]) -> Path:
    """Let `write` fill a temporary file beside `path`, then rename it; where `write` raises, nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        write(Path(part))
        Path(part).chmod(0o644)
        _force_to_disk(Path(part))
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)
    return path


def remove_parts(folder: Path, name: str = ".+", at_least: float = 0.0) -> None:
    """Remove what writers that were killed have left of files with this name (a pattern) in `folder`.

    Only where nobody writes such files at the time: the caller holds the lock under which they are written, or says
    that they are at_least so many seconds old.
    """
    left = re.compile(rf"\.{name}\.[a-z0-9_]{{8}}\.part", re.IGNORECASE)
    for file in folder.iterdir() if folder.is_dir() else ():
        if left.fullmatch(file.name) and file.is_file() and time.time() - file.stat().st_mtime >= at_least:
            file.unlink(missing_ok=True)


def _force_to_disk(file: Path) -> None:
    """Or a power failure may leave the new name with none of its contents."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


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


def counted(names: Container[str], pattern: str) -> int:
    """How many of `pattern` with 0, 1, 2 … for its {} are among the names."""
    return next(count for count in itertools.count() if pattern.format(count) not in names)


def to_dtype(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The floating tensors cast to `dtype`; integer tensors as they are."""
    return {key: t.to(dtype) if t.is_floating_point() else t for key, t in tensors.items()}

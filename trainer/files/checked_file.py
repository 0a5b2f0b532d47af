"""Verified writing of .safetensors files: a file is read again before it gets its name, so a bad one is never left."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from . import lazy_tensors
from .atomic import write_atomically
from .safetensors import CheckpointError, Shapes, listed, read_shapes

BLANK = "0" * 64
"""The placeholder of a hash that is not known yet."""
HASHES = {"modelspec.hash_sha256": f"0x{BLANK}", "sshs_model_hash": BLANK}
"""Metadata fields for the SHA-256 of everything after the header, blank until it is known: the modelspec's, and the one
that A1111 and kohya's scripts read.
"""
LENGTH = 8
"""The number of bytes at a .safetensors file's start that hold the header's length."""

Check = Callable[[Shapes, str], None]
"""A function (shapes, file name) that raises CheckpointError for a file with these tensors."""


def write_checked(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str], check: Check) -> Path:
    """Write a .safetensors file with its hash in the header, read the header again, and let `check` verify it.

    Raises what `check` raises, and CheckpointError for missing tensors; then no file is left.
    """

    def write(part: Path) -> None:
        lazy_tensors.save_tensors(tensors, part, {"format": "pt", **metadata, **HASHES})
        _put_hash(part)
        shapes = read_shapes(part)
        if torn := sorted(tensors.keys() ^ shapes.keys()):
            raise CheckpointError(f"{path.name!r} was not written whole: {listed(torn)}")
        check(shapes, path.name)

    return write_atomically(path, write)


def require_same(shapes: Shapes, name: str, wanted: Shapes) -> None:
    """Raises CheckpointError, showing a few keys, unless a file has exactly the wanted tensors, in their shapes."""
    faults = {
        "missing": sorted(wanted.keys() - shapes.keys()),
        "of no module": sorted(shapes.keys() - wanted.keys()),
        "misshapen": sorted(key for key in wanted.keys() & shapes.keys() if tuple(wanted[key]) != tuple(shapes[key])),
    }
    if found := [f"{what}: {listed(keys)}" for what, keys in faults.items() if keys]:
        raise CheckpointError(f"{name!r} does not fit the base. Keys {'; '.join(found)}")


def _put_hash(file: Path) -> None:
    """Replace the blank hashes in a file's header by the SHA-256 of everything after the header."""
    with file.open("r+b") as stream:
        header = stream.read(int.from_bytes(stream.read(LENGTH), "little"))
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
        stream.seek(LENGTH)
        stream.write(header.replace(BLANK.encode(), digest.hexdigest().encode()))

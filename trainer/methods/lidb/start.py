"""The seed of a LiDB in a file, which a run that continues it takes over. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path

from ...files.safetensors import CheckpointError, read_metadata

FIELD = "dreambooth.lidb"
"""The metadata field of a LiDB, JSON: "seed" of its auxiliary matrices, and "layers" {component: {module: the names of
its layers}} where the file has no names of its own.
"""


def is_lidb(file: Path) -> bool:
    """Whether a file is a LiDB, in either form, by its metadata."""
    return file.is_file() and FIELD in read_metadata(file)


def lidb_seed(file: Path) -> int:
    """The seed of the auxiliary matrices. Raises CheckpointError where the metadata do not hold it."""
    try:
        return int(json.loads(read_metadata(file)[FIELD])["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{file.name!r} does not hold the seed of a LiDB ({FIELD!r} in its metadata), without which its numbers "
            "mean nothing: take the file as it was first written."
        ) from error

"""Continuing the training of a learned word from a file that any program wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files.adapter_kinds import WORD, adapter_kind
from ...files.safetensors import CheckpointError, read_shapes
from ...options import TrainOptions
from ...options.setting import OptionError

if TYPE_CHECKING:
    # A host that trains in another process may lack the libraries for training.
    from torch import Tensor

    from ...model.base import Base

PICKLED = (".pt", ".bin", ".ckpt")
"""The endings of files of learned words that can run code when opened."""


def is_embedding(path: Path) -> bool:
    """Whether a file holds a learned word. Raises CheckpointError for a damaged file, and for a pickled one."""
    if path.suffix in PICKLED:
        raise CheckpointError(f"{path.name!r} can run code when opened and is not read: save it as safetensors.")
    return path.is_file() and adapter_kind(read_shapes(path)) == WORD


def kept_settings(file: Path) -> dict[str, Any]:
    """The settings that a run takes over from the word that it continues: {"vectors": how many it has}."""
    shape = next(iter(read_shapes(file).values()))
    return {"vectors": shape[0] if len(shape) > 1 else 1}


def starting_vectors(file: Path, base: Base, options: TrainOptions) -> dict[str, Tensor]:
    """{text encoder: vectors [n, width]} of the word in a file.

    Raises CheckpointError for the word of another kind of model, OptionError for another number of vectors.
    """
    from ...model.word_embedding import widths
    from .file import read_embedding

    vectors = read_embedding(file, type(base), widths(base))
    count = len(next(iter(vectors.values())))
    if count != options.vectors:
        raise OptionError(
            f"vectors is {options.vectors}, and {file.name!r} has {count}: leave vectors unset to keep it."
        )
    return vectors

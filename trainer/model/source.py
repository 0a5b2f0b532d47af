"""Where a pretrained model's tensors come from. Whatever its form on disk, it speaks in the original layout."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from torch import Tensor

from ..files.contents import Contents, kind_of
from ..files.safetensors import Shapes, read_metadata, read_shapes, read_tensors

EDM = "edm"
"""The hint "prediction_type" of Karras et al.'s noise levels (CosXL, Playground 2.5): another process than ours."""


class Source(Protocol):
    """A model on disk, under the names of a checkpoint in the original layout."""

    @property
    def name(self) -> str:
        """For errors and metadata."""

    @property
    def shapes(self) -> Shapes:
        """Names and shapes of all tensors."""

    @property
    def hints(self) -> Mapping[str, str]:
        """Facts that the weights do not show, such as "prediction_type"."""

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """The tensors whose name starts with `prefix`, in the files' own dtype."""


class CheckpointFile:
    """One .safetensors file in the original layout. Raises CheckpointError for one that is not whole."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self.name = name or path.name

    @cached_property
    def shapes(self) -> Shapes:
        """From the file's header."""
        return read_shapes(self.path)

    @cached_property
    def hints(self) -> Mapping[str, str]:
        """The modelspec fields of its header, without their prefix."""
        found = read_metadata(self.path)
        return {key.removeprefix("modelspec."): value for key, value in found.items() if key.startswith("modelspec.")}

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """From the file."""
        return read_tensors(self.path, prefix)


def contents_of(source: Source) -> Contents:
    """All tensors of a source, of which no more is in memory than is being looked at.

    Tensors that a part's files have in another form are made anew for every look at that part.
    """
    # Of a tensor in a mapped file only what is touched is read.
    kinds = {key: kind_of(tensor) for key, tensor in source.tensors().items()}
    return Contents(kinds, lambda keys: source.tensors(_shared_start(min(keys), max(keys))))


def _shared_start(one: str, other: str) -> str:
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))

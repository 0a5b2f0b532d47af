"""The contents of a .safetensors file, written in parts so that a model need never be in memory as a whole.

The safetensors library takes all tensors at once. The format, https://github.com/huggingface/safetensors#format: the
header's length in 8 bytes, a JSON header, and then the data of all tensors in the header's order, the widest dtypes
first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor

PIECE = 128 << 20
"""Bytes of tensor data that are read and written together, at most; a larger tensor is read by itself."""
DTYPES = {
    torch.uint64: "U64",
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.uint32: "U32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.uint16: "U16",
    torch.int16: "I16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""{dtype: its name in a safetensors header}, in the order in which the safetensors library writes the dtypes."""
ORDER = list(DTYPES)
"""The dtypes in that order, to sort by."""


class TensorSpec(NamedTuple):
    """The dtype and the shape of a tensor that has not been read yet."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """The tensor's size in a file."""
        return self.dtype.itemsize * prod(self.shape)


def spec_of(tensor: Tensor) -> TensorSpec:
    """The dtype and the shape of a tensor, which may be on the meta device."""
    return TensorSpec(tensor.dtype, tuple(tensor.shape))


@dataclass(frozen=True)
class LazyTensors(Mapping[str, Tensor]):
    """A {key: tensor} mapping that reads a tensor every time it is accessed.

    specs: each tensor's dtype and shape. read: returns the tensors of the given keys, and may return more.
    """

    specs: Mapping[str, TensorSpec]
    read: Callable[[Sequence[str]], Mapping[str, Tensor]]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> LazyTensors:
        """The given tensors in memory; a mapping that already is a `LazyTensors` is returned as it is, unread."""
        if isinstance(tensors, LazyTensors):
            return tensors
        return cls({key: spec_of(tensor) for key, tensor in tensors.items()}, lambda keys: tensors)

    def merged_with(self, more: Mapping[str, Tensor]) -> LazyTensors:
        """The union of these tensors and `more`, whose tensors take the place of those with the same keys."""
        added = LazyTensors.of(more)

        def read(keys: Sequence[str]) -> dict[str, Tensor]:
            own, other = [key for key in keys if key not in added.specs], [key for key in keys if key in added.specs]
            return {**(self.read(own) if own else {}), **(added.read(other) if other else {})}

        return LazyTensors({**self.specs, **added.specs}, read)

    def __contains__(self, key: object) -> bool:
        return key in self.specs

    def __getitem__(self, key: str) -> Tensor:
        return self.read([key])[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a .safetensors file to `path` directly (not under a temporary name), from tensors on any device.

    Raises OSError; ValueError for a dtype that the format lacks, or a tensor that is not of its declared spec;
    TypeError for metadata that are not strings.
    """
    contents = LazyTensors.of(tensors)
    for key, spec in contents.specs.items():
        if spec.dtype not in DTYPES:
            raise ValueError(f"{key!r} is {spec.dtype}, which is not written to files.")
    order = sorted(contents.specs, key=lambda key: (ORDER.index(contents.specs[key].dtype), key))
    with path.open("wb") as stream:
        stream.write(_header({key: contents.specs[key] for key in order}, metadata))
        for piece in _pieces(order, contents.specs):
            _write_piece(piece, contents, stream)


def _header(specs: Mapping[str, TensorSpec], metadata: Mapping[str, str]) -> bytes:
    """The header's length in 8 bytes and the JSON header, padded with spaces to a multiple of 8 bytes."""
    if not all(isinstance(value, str) for pair in metadata.items() for value in pair):
        raise TypeError(f"The metadata of a .safetensors file are texts, not {dict(metadata)!r}.")
    said: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for key, spec in specs.items():
        begin, end = end, end + spec.bytes
        said[key] = {"dtype": DTYPES[spec.dtype], "shape": spec.shape, "data_offsets": [begin, end]}
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _pieces(order: Sequence[str], specs: Mapping[str, TensorSpec]) -> Iterator[list[str]]:
    """The keys in groups of at most PIECE bytes each, in order; a tensor larger than that is a group by itself."""
    piece, size = list[str](), 0
    for key in order:
        if piece and size + specs[key].bytes > PIECE:
            yield piece
            piece, size = [], 0
        piece.append(key)
        size += specs[key].bytes
    if piece:
        yield piece


def _write_piece(piece: Sequence[str], contents: LazyTensors, stream: BinaryIO) -> None:
    """Append the tensors of these keys to the file. Raises ValueError where a tensor is not of its declared spec."""
    tensors = contents.read(piece)
    for key in piece:
        tensor = tensors[key].detach().cpu().contiguous()
        if spec_of(tensor) != contents.specs[key]:
            raise ValueError(f"{key!r} was said to be {contents.specs[key]}, and is {spec_of(tensor)}.")
        stream.write(tensor.reshape(-1).view(torch.uint8).numpy().data)


def finite(tensor: Tensor, key: str) -> Tensor:
    """The tensor, checked that all values are finite. Raises ValueError, naming the weight `key`."""
    if not torch.isfinite(tensor).all():
        raise ValueError(f"The trained weight {key!r} holds values that are no numbers; nothing was saved.")
    return tensor

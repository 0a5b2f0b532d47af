"""Weights of .safetensors files as numbers: those that a file keeps in 8 bits beside a scale are multiplied by it.

Two spellings are in use. Older: a marker `scaled_fp8`, and `<layer>.scale_weight` beside `<layer>.weight`. Newer:
`<layer>.weight_scale`, the format in a tensor `<layer>.comfy_quant` or in the header's `_quantization_metadata`. A
scale is one number, one per output channel, or one per block of a row or of a matrix.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .safetensors import CheckpointError, open_file, read_metadata, tensor_names
from .weight_names import FORMAT, PLAIN_FILE, is_quantization_data, require_readable, scale_names

HEADER = "_quantization_metadata"
"""The header's field for the formats of layers, as JSON."""
FORMATS: dict[str, torch.dtype] = {
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
    "int8_tensorwise": torch.int8,
}
"""{format that is read: dtype of its values}; a file may keep the bytes of 8-bit floats as uint8."""
TILE = 128
"""Rows and columns of a tile that has one scale, in files whose scales are a grid."""
LARGEST_HALF = torch.finfo(torch.float16).max


def read_weights(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """The tensors whose name starts with `prefix`, on the CPU; see `iterate_weights`."""
    return dict(iterate_weights(path, lambda key: key.startswith(prefix)))


def iterate_weights(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of the weights that are wanted, one by one; scales and markers are multiplied in.

    Weights without a scale have the file's own dtype; those with one become fp16, or fp32 where fp16 cannot hold them.
    Raises CheckpointError for a damaged file, a kind of quantised file that is not read, and a scale that does not fit.
    """
    with open_file(path) as file:
        names = tensor_names(file)
        require_readable(path.name, names)
        known = set(names)
        formats = _formats(path, file, names) if any(is_quantization_data(name) for name in names) else {}
        for key in names:
            if wanted(key) and not is_quantization_data(key):
                tensor = _in_format(file.get_tensor(key), formats.get(_layer(key)))
                scale = next((name for name in scale_names(key) if name in known), None)
                yield key, tensor if scale is None else _scaled(path.name, key, tensor, file.get_tensor(scale))


def scaled(weight: Tensor, scale: Tensor) -> Tensor | None:
    """weight · scale in float32; None where the scale's shape does not fit.

    weight: [out, in, …]. scale: one number; [out] or [out, 1, …]; [out, n, 1], for n equal blocks of a row each; or
    [a, b], for tiles of TILE a side or equal blocks.
    """
    values, scale = weight.float(), scale.float()
    if scale.numel() == 1:
        return values * scale.reshape(())
    rows = weight.shape[0] if weight.ndim else 0
    if scale.shape[0] == rows == scale.numel():
        return values * scale.reshape(rows, *(1 for _ in weight.shape[1:]))
    if weight.ndim != 2 or scale.ndim not in (2, 3) or (scale.ndim == 3 and scale.shape[2] != 1):
        return None
    grid = scale.reshape(scale.shape[0], scale.shape[1])
    tiles = scale.ndim == 2
    steps = [_step(size, count, tiles) for size, count in zip(weight.shape, grid.shape, strict=True)]
    if not all(steps):
        return None
    whole = grid.repeat_interleave(steps[0], 0).repeat_interleave(steps[1], 1)
    return values * whole[: weight.shape[0], : weight.shape[1]]


def _step(size: int, count: int, tiles: bool) -> int:
    """The length of the `count` blocks that a side of this size is cut into; 0 where it cannot be.

    tiles: whether blocks may be tiles of TILE, the last of which may be shorter.
    """
    if tiles and count > 1 and count == -(-size // TILE):
        return TILE
    return size // count if count and size % count == 0 else 0


def _scaled(file: str, key: str, weight: Tensor, scale: Tensor) -> Tensor:
    """The weight as numbers, in fp16 where that holds them. Raises CheckpointError for a scale that does not fit."""
    values = scaled(weight, scale)
    if values is None:
        raise CheckpointError(
            f"{file!r} holds {key!r} in 8 bits, [{', '.join(map(str, weight.shape))}], with a scale of the shape "
            f"{list(scale.shape)}, which is not read. {PLAIN_FILE}"
        )
    return values.half() if not values.numel() or values.abs().max() <= LARGEST_HALF else values


def _layer(key: str) -> str:
    """The name of the layer that a tensor belongs to."""
    return key.rpartition(".")[0]


def _in_format(tensor: Tensor, known: str | None) -> Tensor:
    """The tensor with its bytes seen as the format's dtype, where they are kept as unsigned bytes."""
    dtype = None if known is None else FORMATS[known]
    return tensor if dtype is None or tensor.dtype != torch.uint8 else tensor.view(dtype)


def _formats(path: Path, file: Any, names: Iterable[str]) -> dict[str, str]:
    """{layer: format}, as the header and the layers' own tensors say. Raises CheckpointError for one that is not
    read.
    """
    said: dict[str, Any] = dict(_header_formats(path))
    for key in names:
        if key.endswith(f".{FORMAT}"):
            said[_layer(key)] = _parsed(path.name, key, bytes(file.get_tensor(key).view(torch.uint8).tolist()))
    found = {layer: _format(value) for layer, value in said.items()}
    if strange := sorted({kind for kind in found.values() if kind not in FORMATS}):
        layers = sum(kind not in FORMATS for kind in found.values())
        raise CheckpointError(f"{path.name!r} keeps {layers} layers as {', '.join(strange)}: not read. {PLAIN_FILE}")
    return found


def _header_formats(path: Path) -> Mapping[str, Any]:
    """{layer: what the header says of its format}. Raises CheckpointError where that is no JSON."""
    text = read_metadata(path).get(HEADER)
    said = {} if text is None else _parsed(path.name, HEADER, text.encode())
    layers = said.get("layers", {}) if isinstance(said, dict) else {}
    return layers if isinstance(layers, dict) else {}


def _parsed(file: str, key: str, text: bytes) -> Any:
    """The JSON in `text`. Raises CheckpointError, naming where it stands."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{file!r} is damaged: {key} is no JSON ({error}).") from error


def _format(said: Any) -> str:
    """The name of a format, with what changes its meaning."""
    name = str(said.get("format")) if isinstance(said, dict) else str(said)
    return f"{name} with rotated weights" if isinstance(said, dict) and said.get("convrot") else name

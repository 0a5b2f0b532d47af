"""Files of learned words: this package's, ComfyUI's, the WebUIs', kohya's and diffusers', in safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ...files.safetensors import CheckpointError, listed, read_tensors
from ...model.family import Family


def embedding_tensors(family: type[Family], vectors: Mapping[str, Tensor], word: str) -> dict[str, Tensor]:
    """{key in the file: vectors [n, width]} in float32. One text encoder: its vectors under `<word>`, which diffusers
    loads as the token's text; several: each under ComfyUI's name of it (clip_l, clip_g).

    Raises ValueError for vectors that are not finite.
    """
    if bad := [name for name, rows in vectors.items() if not torch.isfinite(rows).all()]:
        raise ValueError(f"The word's vectors are not finite numbers: {listed(bad)}")
    names = {name: comfyui_name(family, name) for name in vectors}
    if len(names) == 1:
        names = dict.fromkeys(names, token_of(word))
    return {names[name]: rows.detach().float().cpu().contiguous() for name, rows in vectors.items()}


def token_of(word: str) -> str:
    """The token that diffusers knows the word by: in angle brackets, so that it is none of the vocabulary's."""
    return f"<{word.strip('<>')}>"


def comfyui_name(family: type[Family], component: str) -> str:
    """ComfyUI's name of a text encoder: clip_l, clip_g or clip_h."""
    return family.comfyui[component].partition(".")[0]


def read_embedding(path: Path, family: type[Family], widths: Mapping[str, int]) -> dict[str, Tensor]:
    """{text encoder: vectors [n, width]} of the learned word in a file.

    widths: {text encoder of the base: its width}. Raises CheckpointError for the word of another kind of model.
    """
    found = {key: _rows(tensor) for key, tensor in read_tensors(path).items()}
    keys = {name: _key(found, family, name) for name in widths}
    fits = all(key in found and found[key].shape[1] == widths[name] for name, key in keys.items())
    if not fits or len({len(tensor) for tensor in found.values()}) != 1 or len(found) != len(widths):
        have = listed(f"{key} {list(tensor.shape)}" for key, tensor in found.items())
        wanted = listed(f"{comfyui_name(family, name)} [n, {width}]" for name, width in widths.items())
        raise CheckpointError(f"{path.name!r} holds a word of another kind of model: {have}; this one takes {wanted}.")
    return {name: found[key] for name, key in keys.items()}


def _key(found: Mapping[str, Tensor], family: type[Family], component: str) -> str:
    """The key of a text encoder's vectors: the file's only key where it has one, else ComfyUI's name of the encoder."""
    return next(iter(found)) if len(found) == 1 else comfyui_name(family, component)


def _rows(tensor: Tensor) -> Tensor:
    """The vectors [n, width] in float32; some tools write a single one as [width]."""
    return tensor.float().reshape(-1, tensor.shape[-1]) if tensor.ndim else tensor.float().reshape(1, 1)

"""A learned word inside a LoRA's file, under `bundle_emb.<name>.`: OneTrainer's form, which A1111's LoRA loader reads,
and ComfyUI from its folder of embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ...files.safetensors import CheckpointError, listed, read_tensors
from .file import token_of

START = "bundle_emb."
ALONE = "string_to_param.*"
"""The key of the vectors where there is one text encoder, behind the word's name."""


def bundle_tensors(word: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """{key in the LoRA's file: vectors} of the tensors of a learned word's file. name: that prompts say."""
    if len(word) == 1:
        return {f"{START}{name}.{ALONE}": tensor for tensor in word.values()}
    return {f"{START}{name}.{key}": tensor for key, tensor in word.items()}


def bundled_word(path: Path) -> dict[str, Tensor]:
    """The tensors of a learned word's file from a LoRA's. Raises CheckpointError where the file holds none, or several
    words.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in read_tensors(path, START).items():
        name, _, part = key.removeprefix(START).partition(".")
        found.setdefault(name, {})[part] = tensor
    if len(found) != 1:
        held = f"the words {listed(found)}, and one is taken" if found else f"no learned word ({START}…)"
        raise CheckpointError(f"{path.name!r} holds {held}.")
    ((name, parts),) = found.items()
    return {token_of(name): tensor for tensor in parts.values()} if len(parts) == 1 else parts

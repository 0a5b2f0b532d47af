"""LoRAs, other adapters and learned words, written in a layout and verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..files.adapter_kinds import DORA
from ..files.checked_file import require_same, write_checked
from ..files.safetensors import read_tensors
from ..methods.adapter_file import ReadAdapter
from ..methods.adapters import adapter_metadata, read_adapter
from ..methods.lidb.file import one_tensor, read_lidb
from ..methods.lidb.start import is_lidb
from ..methods.lora.layouts import LoraLayout, diffusers_tensors, kohya_tensors, network_metadata, require_lora_of
from ..methods.lora.weights import LoraWeights
from ..methods.textual_inversion.bundle import bundle_tensors, bundled_word
from ..methods.textual_inversion.start import is_embedding
from ..model.layers import Layers
from ..runs.personalized import PREFIX, SUBJECT_FIELDS
from .conversion import Conversion, ConversionError
from .converted_metadata import ARCHITECTURE, converted_metadata, said_by
from .metadata import layout_metadata
from .modelspec import SPEC


def write_lora(
    lora: LoraWeights, layers: Layers, layout: LoraLayout, path: Path, metadata: dict[str, str], dtype: torch.dtype
) -> Path:
    """Write a LoRA file in kohya's or diffusers' layout, verified against the layers of its base; returns its path."""
    written = diffusers_tensors if layout == "diffusers" else kohya_tensors
    architecture = metadata.get(f"{SPEC}architecture", "")
    said = {**metadata, **network_metadata(lora), **layout_metadata(layers.family, layout, architecture)}
    tensors = written(lora, layers, dtype)
    return write_checked(tensors, path, said, lambda shapes, name: require_lora_of(layers, layout, shapes, name))


def write_lidb(wanted: Conversion, layers: Layers) -> Path:
    """Write a LiDB as one tensor with its seed, and of its metadata the subject's alone; returns the path. Raises
    ConversionError for another LoRA.
    """
    if not is_lidb(wanted.source):
        raise ConversionError(
            f"{wanted.source.name!r} was not trained by the method 'lidb', and has no smaller form: write it as "
            "'kohya' or 'diffusers'."
        )
    tensors, own = one_tensor(read_lidb(wanted.source, layers))
    said = {name: text for name, text in said_by(wanted.source).items() if name in SUBJECT_FIELDS}
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    return write_checked(tensors, wanted.target, {**said, **own}, lambda found, name: require_same(found, name, shapes))


def write_bundle(wanted: Conversion, layers: Layers) -> Path:
    """Write a LoRA or another adapter with a learned word inside, in kohya's layout; returns the path. Raises
    ConversionError where no word is given.
    """
    if wanted.word is None or not is_embedding(wanted.word):
        raise ConversionError(
            f"{wanted.source.name!r} as 'bundle' needs the file of a learned word that goes into it: give the word."
        )
    adapter = read_adapter(wanted.source, layers)
    word = bundle_tensors(read_tensors(wanted.word), wanted.word.stem)
    tensors = {**kohya_tensors(adapter, layers, wanted.numbers), **word}
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    source = said_by(wanted.source)
    said = converted_metadata(wanted, source.get(f"{PREFIX}method", "lora"), layers)
    metadata = {
        **said,
        **adapter_metadata(adapter),
        **layout_metadata(layers.family, "kohya", said.get(ARCHITECTURE, "")),
    }
    return write_checked(tensors, wanted.target, metadata, lambda found, name: require_same(found, name, shapes))


def write_word(wanted: Conversion) -> Path:
    """Write the learned word inside a LoRA's file as a file of its own; returns the path."""
    tensors = bundled_word(wanted.source)
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    said = {name: text for name, text in said_by(wanted.source).items() if name in SUBJECT_FIELDS}
    return write_checked(tensors, wanted.target, said, lambda found, name: require_same(found, name, shapes))


def write_adapter(wanted: Conversion, adapter: ReadAdapter[Any], layers: Layers, kind: str) -> Path:
    """Write a DoRA or LoKr in LyCORIS's layout; returns the path. kind: for messages. Raises ConversionError for
    another layout.
    """
    if wanted.layout != "kohya":
        raise ConversionError(
            f"{wanted.source.name!r} is {kind}, which {wanted.layout!r} has no exact form for: write it as 'kohya', or "
            "merge it into its base as a 'checkpoint' or 'diffusers folder'."
        )
    tensors = kohya_tensors(adapter, layers, wanted.numbers)
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    said = converted_metadata(wanted, "dora" if kind == DORA else "lokr", layers)
    layout = layout_metadata(layers.family, "kohya", said.get(ARCHITECTURE, ""))
    metadata = {**said, **adapter_metadata(adapter), **layout}
    return write_checked(tensors, wanted.target, metadata, lambda found, name: require_same(found, name, shapes))

"""Conversion between file layouts, for LoRAs of any program and for whole checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files.adapter_kinds import DORA, LOKR
from ..files.checked_file import require_same, write_checked
from ..files.lazy_tensors import LazyTensors
from ..files.safetensors import CheckpointError, listed
from ..methods.adapter_file import ReadAdapter
from ..methods.adapters import kind_of, read_adapter
from ..methods.lidb.start import FIELD, is_lidb
from ..methods.lora.folder import adapter_files
from ..methods.lora.layouts import LoraLayout
from ..methods.textual_inversion.start import is_embedding
from ..model.base import Base
from ..model.families import load_base
from ..model.layers import Layers, layers_in
from ..model.original_layout import original_tensors, without_copies
from ..runs.personalized import PREFIX
from .adapter_writer import write_adapter, write_bundle, write_lidb, write_lora, write_word
from .compatibility import same_base
from .conversion import Conversion, ConversionError, Converted
from .converted_metadata import converted_metadata, said_by
from .diffusers_folder import write_diffusers_folder
from .layouts import LORA_LAYOUTS
from .low_rank import extract_lora
from .merge import merge_into, merged_tensors
from .metadata import is_comfyui_lora, layout_metadata
from .modelspec import SPEC
from .transformer_lora import write_for_diffusers


def convert(wanted: Conversion) -> Converted:
    """Write `source` in another layout, verify the written file, and return its path.

    Raises ConversionError where something is missing, CheckpointError for files that do not match each other.
    """
    if is_embedding(wanted.source):
        raise ConversionError(
            f"{wanted.source.name!r} is a learned word: ComfyUI, the WebUIs and diffusers read it as it is, and there "
            "is nothing to convert."
        )
    if wanted.layout == "word":
        return Converted(write_word(wanted))
    if adapter_files(wanted.source):
        return _from_lora(wanted)
    return _from_checkpoint(wanted)


def _from_lora(wanted: Conversion) -> Converted:
    """Convert a LoRA."""
    if wanted.layout == "difference":
        raise ConversionError(f"{wanted.source.name!r} is a LoRA already: write it as 'kohya' or 'diffusers'.")
    if is_comfyui_lora(said_by(wanted.source)):
        return Converted(write_for_diffusers(wanted))
    layers = wanted.layers if wanted.base is None else layers_in(wanted.base)
    if layers is None:
        raise _needs_base(wanted, "the names of its layers are written there")
    if wanted.layout == "lidb":
        return Converted(write_lidb(wanted, layers))
    if wanted.layout == "bundle":
        return Converted(write_bundle(wanted, layers))
    lora = read_adapter(wanted.source, layers)
    same = None if wanted.base is None else same_base(lora.file, wanted.base)
    said = lora.warnings if wanted.layout in LORA_LAYOUTS else (*lora.warnings, *_left_out(wanted, layers, True))
    return Converted(_written_lora(wanted, lora, layers), same_base=same, left_out=said)


def _written_lora(wanted: Conversion, lora: ReadAdapter[Any], layers: Layers) -> Path:
    """Write a LoRA or another adapter as such a file, or merged into its base as a checkpoint or a diffusers folder;
    returns the path.
    """
    kind = kind_of(wanted.source)
    if wanted.layout in LORA_LAYOUTS and kind in (DORA, LOKR):
        return write_adapter(wanted, lora, layers, kind)
    if wanted.layout in LORA_LAYOUTS:
        own = {FIELD: said_by(wanted.source)[FIELD]} if is_lidb(wanted.source) else {}
        said = {**converted_metadata(wanted, "lidb" if own else "lora", layers), **own}
        layout: LoraLayout = "diffusers" if wanted.layout == "diffusers" else "kohya"
        return write_lora(lora, layers, layout, wanted.target, said, wanted.numbers)
    if wanted.base is None:
        raise _needs_base(wanted, "the LoRA is added to its weights")
    if wanted.layout == "diffusers folder":
        merged = merge_into(load_base(wanted.base, wanted.prediction), lora, wanted.strength)
        return _write_folder(wanted, merged, layers)
    return _write_checkpoint(wanted, merged_tensors(layers, lora, wanted.strength, wanted.numbers), layers, True)


def _from_checkpoint(wanted: Conversion) -> Converted:
    """Convert a whole checkpoint."""
    trained = layers_in(wanted.source)
    lost = _left_out(wanted, trained, False)
    if wanted.layout == "diffusers folder":
        return Converted(_write_folder(wanted, load_base(wanted.source, wanted.prediction), trained), left_out=lost)
    if wanted.layout == "checkpoint":
        path = _write_checkpoint(wanted, original_tensors(trained, {}, wanted.numbers), trained)
        return Converted(path, left_out=lost)
    if wanted.layout != "difference":
        raise ConversionError(f"{wanted.source.name!r} is a whole checkpoint: 'difference' makes a LoRA of it.")
    if wanted.base is None:
        raise _needs_base(wanted, "the difference is taken from it")
    if (same := same_base(wanted.source, wanted.base)) is False:
        raise ConversionError(
            f"{wanted.source.name!r} was trained from another base than {wanted.base.name!r}: their difference would "
            "hold what sets the bases apart as well. Give the base that it was trained from."
        )
    layers = layers_in(wanted.base)
    if trained.family is not layers.family or trained.shapes != layers.shapes:
        raise CheckpointError(f"{wanted.source.name!r} and {wanted.base.name!r} are not of one architecture.")
    lora, error = extract_lora(trained.source, layers.source, layers, wanted.rank, wanted.numbers)
    if not lora:
        raise ConversionError(f"{wanted.source.name!r} differs from {wanted.base.name!r} in no layer.")
    said = {**converted_metadata(wanted, "lora", layers), f"{PREFIX}difference": str(error)}
    return Converted(write_lora(lora, layers, "kohya", wanted.target, said, wanted.numbers), error, same)


def _write_folder(wanted: Conversion, base: Base, layers: Layers) -> Path:
    """Write a base as a diffusers folder; returns its path."""
    said = {
        **converted_metadata(wanted, "full", layers),
        **layout_metadata(type(base), wanted.layout, base.architecture),
    }
    return write_diffusers_folder(base, wanted.target, wanted.numbers, said)


def _write_checkpoint(wanted: Conversion, tensors: LazyTensors, layers: Layers, changed: bool = False) -> Path:
    """Write tensors as a whole checkpoint in the original layout, with its marker tensors; returns the path.

    changed: whether weights differ from the source's, so that no averaged copy of these is written.
    """
    source, marks = (
        converted_metadata(wanted, "full", layers),
        layers.family.marker_tensors(layers.source, wanted.prediction),
    )
    carried = without_copies(layers.source.shapes) if changed else layers.source.shapes
    shapes = {**carried, **{mark: tuple(tensor.shape) for mark, tensor in marks.items()}}
    said = {**source, **layout_metadata(layers.family, wanted.layout, source.get(f"{SPEC}architecture", ""))}
    return write_checked(
        tensors.merged_with(marks), wanted.target, said, lambda found, name: require_same(found, name, shapes)
    )


def _left_out(wanted: Conversion, layers: Layers, changed: bool) -> tuple[str, ...]:
    """What a whole model does not hold of its source, each one sentence. changed: whether weights differ from it."""
    rest = layers.family.remainder(layers.source.shapes)
    if wanted.layout == "checkpoint":
        return rest.without_copies if changed else ()
    lost = [*rest.beside, *rest.copies]
    return (f"there is no place for this in a diffusers folder: {listed(lost)}",) if lost else ()


def _needs_base(wanted: Conversion, why: str) -> ConversionError:
    """The error for a conversion that needs the base. why: the reason, for the message."""
    return ConversionError(
        f"{wanted.source.name!r} as {wanted.layout!r} needs the base that it was trained from: {why}. Give the base."
    )

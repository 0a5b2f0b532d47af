"""Compatibility of a model file with a base, determined from the headers without loading weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..files.hashes import file_sha256
from ..files.safetensors import read_metadata, read_shapes
from ..methods.adapters import adapter_keys
from ..methods.lora.folder import adapter_files
from ..methods.lora.keys import LoraKeys
from ..methods.textual_inversion.file import comfyui_name
from ..methods.textual_inversion.start import is_embedding
from ..model.families import fingerprint_of, source_of
from ..model.layers import layers_in
from ..model.source import CheckpointFile, Source
from ..runs.personalized import PREFIX

TOKEN_EMBEDDING = "embeddings.token_embedding.weight"
"""Our name of a text encoder's table of token embeddings."""


@dataclass(frozen=True)
class Compatibility:
    """How a file matches a base. matched: number of layers (of a LoRA) or tensors (of a checkpoint) that match; the
    lists hold the others.

    same_base: whether the file was trained from this very base; None where its metadata do not tell. left_out: keys
    that are no part of a LoRA's layer, and that reading it leaves out.
    """

    kind: Literal["lora", "checkpoint", "embedding"]
    matched: int
    unmatched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    same_base: bool | None = None
    left_out: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether every key belongs to the base and has its shape."""
        return self.matched > 0 and not (self.unmatched or self.missing or self.misshapen)

    def record(self) -> dict[str, Any]:
        """All fields and `fits`, ready for JSON."""
        return {"fits": self.fits, **asdict(self)}


def check_applies(file: Path, base: Path | Source) -> Compatibility:
    """The compatibility of `file`, a LoRA, a checkpoint or a learned word, with `base`.

    Raises CheckpointError for a file that is none of these, and for adapters other than plain LoRAs.
    """
    if is_embedding(file):
        return _of_embedding(file, base)
    layers, adapters = layers_in(base), adapter_files(file)
    same = same_base(adapters[0].file if adapters else file, base)
    if adapters:
        return _of_lora([adapter_keys(own, layers) for own in adapters], same)
    shapes = read_shapes(file)
    wanted = layers.source.shapes
    common = wanted.keys() & shapes.keys()
    misshapen = sorted(key for key in common if wanted[key] != shapes[key])
    unmatched, missing = sorted(shapes.keys() - wanted.keys()), sorted(wanted.keys() - shapes.keys())
    return Compatibility("checkpoint", len(common) - len(misshapen), unmatched, missing, misshapen, same)


def _of_embedding(file: Path, base: Path | Source) -> Compatibility:
    """The compatibility of a learned word: the widths of its vectors beside those of the base's token embeddings."""
    layers, found = layers_in(base), {key: shape[-1] for key, shape in read_shapes(file).items()}
    keys = {
        comfyui_name(layers.family, component): layers.shapes[component][TOKEN_EMBEDDING][1]
        for component in layers.family.comfyui
        if component != "denoiser"
    }
    if len(keys) == len(found) == 1:
        # Of one text encoder, under any key.
        keys = dict.fromkeys(found, *keys.values())
    common = keys.keys() & found.keys()
    misshapen = sorted(key for key in common if found[key] != keys[key])
    unmatched, missing = sorted(found.keys() - keys.keys()), sorted(keys.keys() - found.keys())
    return Compatibility(
        "embedding", len(common) - len(misshapen), unmatched, missing, misshapen, same_base(file, base)
    )


def _of_lora(files: list[LoraKeys], same: bool | None) -> Compatibility:
    """The compatibility of a LoRA in one file or several. same: see `Compatibility`."""
    matched = len({place for keys in files for place in keys.parts})
    return Compatibility(
        "lora",
        matched,
        [key for keys in files for key in (*keys.unmatched, *keys.doubled)],
        [key for keys in files for key in keys.missing],
        [key for keys in files for key in keys.misshapen],
        same,
        [key for keys in files for key in keys.left_out],
    )


def same_base(file: Path, base: Path | Source) -> bool | None:
    """Whether `file` was trained from `base`, by this package's fingerprint or kohya's hash; None where its metadata
    hold neither.
    """
    said = read_metadata(file)
    if trained_from := said.get(f"{PREFIX}trained_from"):
        return trained_from == fingerprint_of(base)
    source = source_of(base)
    if (digest := said.get("ss_new_sd_model_hash")) and isinstance(source, CheckpointFile):
        return digest == file_sha256(source.path)
    return None

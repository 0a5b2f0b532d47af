"""Compatibility of a model file with a base, determined from the headers without loading weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..files.hashes import file_sha256
from ..files.safetensors import read_metadata, read_shapes
from ..methods.lora.keys import is_adapter, sort_keys
from ..model.families import fingerprint_of, source_of
from ..model.layers import layers_in
from ..model.source import CheckpointFile, Source
from ..runs.personalized import PREFIX


@dataclass(frozen=True)
class Compatibility:
    """How a file matches a base. matched: number of layers (of a LoRA) or tensors (of a checkpoint) that match; the
    lists hold the others.

    same_base: whether the file was trained from this very base; None where its metadata do not tell.
    """

    kind: Literal["lora", "checkpoint"]
    matched: int
    unmatched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    same_base: bool | None = None

    @property
    def fits(self) -> bool:
        """Whether every key belongs to the base and has its shape."""
        return self.matched > 0 and not (self.unmatched or self.missing or self.misshapen)

    def record(self) -> dict[str, Any]:
        """All fields and `fits`, ready for JSON."""
        return {"fits": self.fits, **asdict(self)}


def check_applies(file: Path, base: Path | Source) -> Compatibility:
    """The compatibility of `file`, a LoRA or a checkpoint, with `base`.

    Raises CheckpointError for a file that is neither, and for adapters other than plain LoRAs.
    """
    shapes, layers = read_shapes(file), layers_in(base)
    same = same_base(file, base)
    if is_adapter(shapes):
        keys = sort_keys(shapes, layers.known_names, layers.places)
        return Compatibility("lora", len(keys.parts), keys.unmatched, keys.missing, keys.misshapen, same)
    wanted = layers.source.shapes
    common = wanted.keys() & shapes.keys()
    misshapen = sorted(key for key in common if wanted[key] != shapes[key])
    unmatched, missing = sorted(shapes.keys() - wanted.keys()), sorted(wanted.keys() - shapes.keys())
    return Compatibility("checkpoint", len(common) - len(misshapen), unmatched, missing, misshapen, same)


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

"""Resizing and merging of LoRAs: one LoRA that is nearest to the weighted sum of one or several, by their singular
values (Eckart and Young, 1936).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..files.safetensors import CheckpointError, listed, read_metadata
from ..methods.adapter_file import ReadAdapter
from ..methods.adapters import kind_of, read_adapter
from ..methods.lora.folder import adapter_files, no_lora
from ..methods.lora.weights import LoraLayer, all_layers
from ..methods.textual_inversion.start import is_embedding
from ..model.layers import Layers, Place
from ..runs.personalized import OTHERS, PREFIX, read_personalized
from .adapter_writer import write_lora
from .conversion import TORCH, ConversionError
from .low_rank_error import LayerError, LowRankError
from .metadata import inherited_metadata, is_comfyui_lora
from .modelspec import SPEC, VERSION
from .singular_values import NOTHING, approximated, distance, norm, weighted_sum

MERGED = f"{PREFIX}merged"
"""The metadata field of what a LoRA was merged from: a JSON list of [name, strength]."""
OF_THE_BASE = (
    f"{SPEC}architecture",
    f"{SPEC}prediction_type",
    "ss_base_model_version",
    "ss_v2",
    "ss_v_parameterization",
)
"""The metadata fields that are true of every LoRA of a base."""


@dataclass(frozen=True, kw_only=True)
class SumOfLoras:
    """The request. sources: (LoRA file or folder, strength), one or more. target: the file to write, which must not
    exist. layers: of a base that all are of. rank: the greatest of a layer; 0: as many as lose nothing.

    Raises ConversionError for values out of range.
    """

    sources: tuple[tuple[Path, float], ...]
    target: Path
    layers: Layers
    rank: int = 0
    dtype: str = "fp16"

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise ConversionError(f"rank is {self.rank}; it must be 1 or more, or 0 for as many as lose nothing.")
        for path, strength in self.sources:
            if not math.isfinite(strength) or not strength:
                raise ConversionError(
                    f"The strength of {path.name!r} is {strength:g}; it must be a number other than 0."
                )
        if self.target.exists():
            raise ConversionError(f"{self.target.name!r} exists; name a new file.")

    @property
    def numbers(self) -> torch.dtype:
        """The torch dtype of the written weights."""
        return TORCH[self.dtype]


@dataclass(frozen=True)
class Summed:
    """The written LoRA. path: the file. error: how far it is from the sum. warnings: what is doubtful, each one
    sentence.
    """

    path: Path
    error: LowRankError
    warnings: tuple[str, ...] = ()


def sum_loras(wanted: SumOfLoras) -> Summed:
    """Write the LoRA nearest to Σ strength·ΔW, verified; returns it with its error.

    Raises ConversionError for files that are no LoRAs and for a sum of zero, CheckpointError for those of another base.
    """
    loras = [(_read(path, wanted.layers), strength) for path, strength in wanted.sources]
    found: dict[str, dict[str, LoraLayer]] = {}
    errors: list[LayerError] = []
    for place, parts in _by_layer(loras).items():
        layer, values = approximated(parts, wanted.rank or None, wanted.numbers)
        if values[0] <= NOTHING * max(norm(*weighted_sum([part])) for part in parts):
            continue
        errors.append(LayerError(": ".join(place), values, distance(parts, layer)))
        found.setdefault(place[0], {})[place[1]] = layer
    if not found:
        raise ConversionError("The sum of these LoRAs is zero in every layer: give other strengths.")
    error = LowRankError.of(max(layer.rank for own in found.values() for layer in own.values()), errors, {})
    path = write_lora(found, wanted.layers, "kohya", wanted.target, _metadata(wanted, error), wanted.numbers)
    return Summed(path, error, _warnings(wanted, loras))


def _read(path: Path, layers: Layers) -> ReadAdapter[LoraLayer]:
    """The LoRA at a path. Raises ConversionError for anything else."""
    if is_embedding(path):
        raise ConversionError(f"{path.name!r} is a learned word, which has no rank.")
    if not adapter_files(path):
        raise no_lora(path)
    if path.is_file() and is_comfyui_lora(read_metadata(path)):
        raise ConversionError(
            f"{path.name!r} has ComfyUI's own names of the layers of a kind of model that is not known here: it "
            "can be neither resized nor merged."
        )
    adapter: ReadAdapter[Any] = read_adapter(path, layers)
    if any(not isinstance(layer, LoraLayer) for own in adapter.values() for layer in own.values()):
        raise ConversionError(
            f"{path.name!r} is {kind_of(path)}, whose change of the weights is no product of two thin matrices: only "
            "LoRAs are resized and merged. Merge it into its base (export checkpoint), and take the difference of that."
        )
    bad = [f"{component}: {name}" for component, name, layer in all_layers(adapter) if not _is_finite(layer)]
    if bad:
        raise CheckpointError(f"{path.name!r} holds numbers that are not finite, in {listed(bad)}: train it anew.")
    return adapter


def _is_finite(layer: LoraLayer) -> bool:
    """Whether all numbers of a layer are finite."""
    return math.isfinite(layer.alpha) and all(bool(half.isfinite().all()) for half in (layer.down, layer.up))


def _by_layer(loras: list[tuple[ReadAdapter[LoraLayer], float]]) -> dict[Place, list[tuple[LoraLayer, float]]]:
    """{place: (LoRA of the layer, strength) of each that changes it}."""
    found: dict[Place, list[tuple[LoraLayer, float]]] = {}
    for lora, strength in loras:
        for component, own in lora.items():
            for name, layer in own.items():
                found.setdefault((component, name), []).append((layer, strength))
    return found


def _metadata(wanted: SumOfLoras, error: LowRankError) -> dict[str, str]:
    """The metadata: of a single LoRA its own; of several, what is true of all, their subjects and what they are."""
    said = [read_metadata(path) if path.is_file() else {} for path, _ in wanted.sources]
    own = {f"{SPEC}sai_model_spec": VERSION, f"{SPEC}title": wanted.target.stem, f"{PREFIX}resized": error.summary}
    if len(said) == 1:
        return {**inherited_metadata(said[0]), **own, **({f"{PREFIX}method": "lora"} if _ours(said[0]) else {})}
    names = json.dumps([[path.name, strength] for path, strength in wanted.sources], ensure_ascii=False)
    common = {field: said[0][field] for field in OF_THE_BASE if field in said[0]}
    return {**common, **own, MERGED: names, **_subjects(wanted, said)}


def _subjects(wanted: SumOfLoras, said: list[dict[str, str]]) -> dict[str, str]:
    """The fields of the first subject with the triggers of the others; none where a file is not this package's."""
    if not all(map(_ours, said)):
        return {}
    results = [read_personalized(path) for path, _ in wanted.sources]
    if own := next((one for one in results if one.word_file), None):
        raise ConversionError(
            f"{own.file.name!r} calls its subject by a word of its own, {own.word_file!r}, which a merged file cannot "
            "name: merge LoRAs without one."
        )
    triggers = dict.fromkeys(trigger for one in results for trigger in one.trigger.split(", "))
    others = list(triggers)[1:]
    fields = {**results[0].metadata(), f"{PREFIX}method": "lora", f"{PREFIX}trigger": ", ".join(triggers)}
    more = {f"{PREFIX}{OTHERS}": json.dumps(others, ensure_ascii=False)} if others else {}
    return {**fields, **more, f"{SPEC}trigger_phrase": ", ".join(triggers)}


def _ours(said: dict[str, str]) -> bool:
    """Whether metadata name a subject."""
    return f"{PREFIX}class_noun" in said


def _warnings(wanted: SumOfLoras, loras: list[tuple[ReadAdapter[LoraLayer], float]]) -> tuple[str, ...]:
    """What reading the files assumed, and whether they are of different bases."""
    read = tuple(warning for lora, _ in loras for warning in lora.warnings)
    bases = {said for path, _ in wanted.sources if path.is_file() and (said := _trained_from(path))}
    other = "they were trained from different bases, and each changes this one otherwise than its own"
    return (*read, other) if len(bases) > 1 else read


def _trained_from(path: Path) -> str:
    """The fingerprint of the base that a LoRA was trained from, or kohya's hash of it; "" where it does not tell."""
    said = read_metadata(path)
    return said.get(f"{PREFIX}trained_from") or said.get("ss_new_sd_model_hash", "")

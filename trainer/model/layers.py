"""The layers of a base that a LoRA can change, and their names in kohya's and diffusers' files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ..files.safetensors import Shapes
from .base import Base
from .keys import KeyTable, text_encoder_name
from .source import Source

WRAPPERS = ("base_model_model_", "lora_", "lycoris_", "loha_", "locon_", "_orig_mod_", "module_")
"""What tools write before the name of a component or of a layer: flat names of peft's classes, of kinds of adapters, of
torch.compile and of data parallelism.
"""
ADDED = (".lora_", ".lokr_", ".lidb_", ".added.")
"""Marks of the names of tensors that methods add to a base."""
TEXT_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
"""The ends of the names of a text encoder's attention projections, which earlier versions of diffusers called to_q,
to_k, to_v and to_out.
"""
Place = tuple[str, str]
"""(component, our name of a layer), where our names are diffusers' and transformers' (see `keys`)."""


@dataclass(frozen=True)
class Layers:
    """The layers of one base model. shapes: {component: {our name of a weight: its shape}}. source: the
    base's files.
    """

    family: type[Base]
    shapes: Mapping[str, Shapes]
    tables: Mapping[str, KeyTable]
    source: Source

    @cached_property
    def places(self) -> dict[Place, tuple[int, ...]]:
        """{place: shape of the weight} of every linear layer and convolution that a LoRA can change."""
        found: dict[Place, tuple[int, ...]] = {}
        for component in self.family.kohya:
            for name, shape in self.shapes[component].items():
                layer = name.removesuffix(".weight")
                if layer != name and len(shape) > 1 and not layer.endswith(self.family.embeddings):
                    found[component, layer] = shape
        return found

    def kohya_name(self, place: Place) -> str:
        """The layer's name in kohya's files, before `.lora_down.weight`."""
        component, layer = place
        by_original = component == "denoiser" and self.family.kohya_by_original
        return self._flat(component, self._original(place) if by_original else layer)

    def diffusers_name(self, place: Place) -> str:
        """The layer's name in diffusers' files, before `.lora_A.weight`."""
        component, layer = place
        return f"{self.family.diffusers[component]}.{self.family.shared_name(component, layer)}"

    @cached_property
    def kohya_names(self) -> dict[str, Place]:
        """{kohya's name: place}, as files are written."""
        return {self.kohya_name(place): place for place in self.places}

    @cached_property
    def diffusers_names(self) -> dict[str, Place]:
        """{diffusers' name: place}, as files are written."""
        return {self.diffusers_name(place): place for place in self.places}

    def meant_by(self, name: str) -> tuple[Place, ...]:
        """The places that a layer's name in a file may mean; none where it is the name of no layer.

        Programs combine a prefix for the component with our name of the layer, the shared one or the original one, and
        write it with dots or with underscores: every combination is accepted. A name without a prefix may mean layers
        of several components.
        """
        flat = name.replace(".", "_").replace("_processor_", "_").rstrip("_")
        for rest in _without_wrappers(flat):
            for prefix, components in self._prefixes.items():
                if rest.startswith(prefix):
                    own = tuple(_without_wrappers(rest[len(prefix) :]))
                    known = (
                        self._by_flat_name[component].get(flat_name) for component in components for flat_name in own
                    )
                    if found := tuple(place for place in known if place):
                        return found
        return ()

    @cached_property
    def _prefixes(self) -> dict[str, tuple[str, ...]]:
        """{prefix of a layer's flat name: the components that it may name}, the longest first."""
        found: dict[str, list[str]] = {"": list(self.family.kohya)}
        encoders = [component for component in self.family.kohya if component != "denoiser"]
        for component in self.family.kohya:
            for name in self._component_names(component, encoders):
                found.setdefault(name.rstrip(".").replace(".", "_") + "_", []).append(component)
        return {prefix: tuple(dict.fromkeys(found[prefix])) for prefix in sorted(found, key=len, reverse=True)}

    def _component_names(self, component: str, encoders: Sequence[str]) -> Iterator[str]:
        """The names of a component in the files of different programs. encoders: the names of all text encoders."""
        yield self.family.kohya[component].removeprefix("lora_").rstrip("_")
        yield self.family.diffusers[component]
        yield self.family.comfyui[component]
        if component in self.tables:
            yield self.tables[component].prefix
        if component == "denoiser":
            yield from ("unet", "model.diffusion_model", "diffusion_model")
            return
        yield self.family.comfyui[component].partition(".")[0]
        yield f"text_encoders.{self.family.comfyui[component]}"
        number = encoders.index(component) + 1
        yield from ("te", f"te{number}", f"te_{number}", f"text_encoder_{number}")

    @cached_property
    def _by_flat_name(self) -> dict[str, dict[str, Place]]:
        """{component: {flat name of a layer without the component's prefix: its place}}, our own names last."""
        found: dict[str, dict[str, Place]] = {component: {} for component in self.family.kohya}
        for place in self.places:
            component, layer = place
            for name in (self._original(place), self.family.shared_name(component, layer), layer):
                for spelling in _spellings(name):
                    found[component][spelling.replace(".", "_")] = place
        return found

    def _flat(self, component: str, layer: str) -> str:
        """kohya's name of a layer: a prefix, and dots replaced by underscores."""
        return self.family.kohya[component] + self.family.shared_name(component, layer).replace(".", "_")

    def _original(self, place: Place) -> str:
        """The layer's original name without the component's prefix; our name where the original layout lacks it."""
        component, layer = place
        table = self.tables.get(component)
        name = None if table is None else table.original_name(f"{layer}.weight")
        if table is None or name is None:
            return layer
        return name.removeprefix(table.prefix).removesuffix(".weight")


def _without_wrappers(flat: str) -> Iterator[str]:
    """A layer's flat name, and what is left of it without the names of the tools and classes that it starts with."""
    yield flat
    for wrapper in WRAPPERS:
        if flat.startswith(wrapper):
            yield from _without_wrappers(flat.removeprefix(wrapper))


def _spellings(name: str) -> Iterator[str]:
    """A layer's name, and how earlier versions of diffusers wrote it in a LoRA's keys."""
    yield name
    if name.endswith("to_out.0"):
        yield name.removesuffix(".0")
    if "self_attn." in name and name.endswith(TEXT_PROJECTIONS):
        head, _, kind = name.rpartition(".")
        yield f"{head}.to_{kind.removesuffix('_proj')}"


def layers_of(base: Base) -> Layers:
    """The layers of a base in memory, without the adapters that are attached to it."""
    shapes = {
        component: {
            text_encoder_name(name).replace(".base_layer.", "."): tuple(tensor.shape)
            for name, tensor in module.state_dict().items()
            if not any(mark in name for mark in ADDED)
        }
        for component, module in base.components().items()
    }
    return Layers(type(base), shapes, base.tables, base.source)


def layers_in(base: Path | Source) -> Layers:
    """The layers of a model's components, by name and shape, read from the headers of its files alone.

    Raises CheckpointError for a model of no known family.
    """
    # Imported late: the families import libraries that a host need not load at its start.
    from .families import family_of, source_of

    source = source_of(base)
    family = family_of(source)
    tables = family.key_tables(source.shapes)
    empty = {key: torch.empty(shape, device="meta") for key, shape in source.shapes.items()}
    ours = {component: table.to_ours(empty) for component, table in tables.items()}
    shapes = {component: {name: tuple(t.shape) for name, t in tensors.items()} for component, tensors in ours.items()}
    return Layers(family, shapes, tables, source)

"""The layers of a base that a LoRA can change, and their names in kohya's and diffusers' files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ..files.safetensors import Shapes
from .base import Base
from .keys import KeyTable, text_encoder_name
from .source import Source

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

    @cached_property
    def known_names(self) -> dict[str, Place]:
        """{name: place} for all names that are accepted in files, because other programs mix layouts."""
        ours = {self._flat(component, layer): (component, layer) for component, layer in self.places}
        dotted = {f"{self.family.diffusers[place[0]]}.{place[1]}": place for place in self.places}
        denoiser = [place for place in self.places if place[0] == "denoiser"]
        bare = {place[1]: place for place in denoiser}
        originals = {self._original(place): place for place in denoiser}
        flat = {self._flat("denoiser", name): place for name, place in originals.items()}
        comfy = {f"{self.family.comfyui['denoiser']}{name}": place for name, place in originals.items()}
        return {**flat, **comfy, **bare, **dotted, **ours, **self.diffusers_names, **self.kohya_names}

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


def layers_of(base: Base) -> Layers:
    """The layers of a base in memory, without the adapters that are attached to it."""
    shapes = {
        component: {
            text_encoder_name(name).replace(".base_layer.", "."): tuple(tensor.shape)
            for name, tensor in module.state_dict().items()
            if ".lora_" not in name
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
    ours = {component: table.ours(empty) for component, table in tables.items()}
    shapes = {component: {name: tuple(t.shape) for name, t in tensors.items()} for component, tensors in ours.items()}
    return Layers(family, shapes, tables, source)

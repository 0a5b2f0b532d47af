"""The training method DoRA: a LoRA of the frozen weights' directions, and their magnitudes (Liu et al., 2024)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...files.checked_file import require_same
from ...model.base import Base
from ...model.layers import layers_of
from ...options import TrainOptions
from ...options.choices import MethodName
from ...options.setting import OptionError
from ..adapter_file import ReadAdapter
from ..lora.adapter import Lora, adapted_layers
from ..lora.change import squared_factors
from ..lora.layouts import kohya_tensors
from ..lora.start import require_fits
from ..lora.weights import from_peft
from ..protocol import ModelFile, Trained
from .file import dora_fields, read_dora
from .layer import DoraLayer
from .magnitude import NAME, add_magnitude, gain


class Dora(Lora):
    """The training method DoRA, on the layers of a LoRA."""

    name: ClassVar[MethodName] = "dora"

    def __init__(self, start: Mapping[str, Mapping[str, DoraLayer]] | None = None) -> None:
        """start: the DoRA to continue from, as `Lora` takes its own."""
        loras = {name: {layer: one.lora for layer, one in own.items()} for name, own in (start or {}).items()}
        super().__init__(loras)
        self._dora = start or {}
        self.warnings = start.warnings if isinstance(start, ReadAdapter) else ()

    @staticmethod
    def read_start(file: Path, base: Base, options: TrainOptions) -> Any:
        """The DoRA to continue from. Raises OptionError for one of outputs, and as `starting_weights` does."""
        dora = read_dora(file, layers_of(base))
        if not all(layer.of_inputs for own in dora.values() for layer in own.values()):
            raise OptionError(
                f"{file.name!r} is a DoRA with a magnitude for each output, and this package trains those of inputs: "
                "merge it into the base (convert to 'checkpoint') and begin anew."
            )
        loras = {name: {layer: one.lora for layer, one in own.items()} for name, own in dora.items()}
        require_fits(file, loras, base, options)
        return dora

    @staticmethod
    def memory_levers(dtype: torch.dtype | None) -> Iterator[dict[str, Any]]:
        """None: the norms need the base's weights whole."""
        return iter(())

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Add the adapters and the magnitudes to the base, whose outputs only `start` changes."""
        super().attach(base, options)
        modules = base.components()
        for component in self._components:
            start = self._dora.get(component, {})
            for name, layer in adapted_layers(modules[component]):
                add_magnitude(layer, start[name].magnitude if name in start else None)

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """The adapters' weights, as a LoRA's, and {"layer.lora_magnitude": m [in]}."""
        modules = base.components()
        magnitudes = {
            component: {f"{name}.{NAME}": layer.lora_magnitude.detach() for name, layer in adapted_layers(module)}
            for component, module in modules.items()
            if component in self._components
        }
        return {component: {**own, **magnitudes[component]} for component, own in super().trained(base).items()}

    def squared_change(self, base: Base, by_factors: bool) -> Tensor:
        """Σ‖W' − W‖² over the layers, or Σ(‖A‖² + ‖B‖²); see `Method.squared_change`."""
        modules = base.components()
        layers = [layer for component in self._components for _, layer in adapted_layers(modules[component])]
        return torch.stack([_factors(one) if by_factors else _change(one) for one in layers]).sum()

    def dora(self, base: Base, trained: Trained | None = None) -> dict[str, dict[str, DoraLayer]]:
        """The trained DoRA. trained: what `trained` returned."""
        tensors = trained or self.trained(base)
        halves = {c: {k: t for k, t in own.items() if not k.endswith(f".{NAME}")} for c, own in tensors.items()}
        loras = from_peft(halves, self.alphas(base))
        return {
            component: {
                name: DoraLayer(lora, _shaped(tensors[component][f"{name}.{NAME}"], lora.down))
                for name, lora in own.items()
            }
            for component, own in loras.items()
        }

    def file(self, base: Base, trained: Trained) -> ModelFile:
        """The DoRA in LyCORIS's layout, its matrices in float16."""
        dora = self.dora(base, trained)
        tensors = kohya_tensors(dora, layers_of(base), torch.float16)
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
        return ModelFile(tensors, "kohya", lambda found, name: require_same(found, name, shapes), dora_fields(dora))


def _shaped(magnitude: Tensor, down: Tensor) -> Tensor:
    """The magnitudes [1, in, 1 …], in as many dimensions as the layer's weight."""
    return magnitude.view(1, -1, *(1 for _ in down.shape[2:]))


def _factors(layer: Any) -> Tensor:
    """‖A‖² + ‖B‖² of a layer."""
    return squared_factors(layer.lora_A["default"].weight, layer.lora_B["default"].weight, 1.0)


def _change(layer: Any) -> Tensor:
    """‖W' − W‖² of a layer, differentiable."""
    weight = layer.get_base_layer().weight.float()
    down, up = (half["default"].weight.float().flatten(1) for half in (layer.lora_A, layer.lora_B))
    moved = weight + layer.scaling["default"] * (up @ down).view(weight.shape)
    changed: Tensor = moved * _shaped(gain(layer), weight) - weight
    return changed.square().sum()

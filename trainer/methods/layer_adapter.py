"""Adapters that this package computes itself: a module with an update in the place of each frozen layer."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from ..files.checked_file import require_same
from ..files.safetensors import listed
from ..model.base import Base
from ..model.keys import text_encoder_name
from ..model.layers import layers_of
from ..options import TrainOptions
from ..options.setting import OptionError
from .adapter_file import ReadAdapter
from .lora.layouts import KohyaLayer, kohya_tensors
from .protocol import Folder, Method, ModelFile, Trained

Layer = TypeVar("Layer", bound=KohyaLayer)
"""One layer's part of the adapter."""


class UpdatedLayer(nn.Module, ABC, Generic[Layer]):
    """A frozen linear layer or convolution with a trained update, whose matrices are its own parameters, in float32.

    scale: the update's; 0 where it is switched off.
    """

    scale: float

    def __init__(self, base_layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.base_layer: Any = base_layer

    @property
    def weight(self) -> Tensor:
        """The base's weight."""
        found: Tensor = self.base_layer.weight
        return found

    @abstractmethod
    def layer(self, tensors: Mapping[str, Tensor]) -> Layer:
        """The update of these trained tensors {name of a parameter: tensor}."""

    @abstractmethod
    def squared_factors(self) -> Tensor:
        """The sum of squares of the trained matrices."""

    @abstractmethod
    def squared_change(self) -> Tensor:
        """The sum of squares of the weight's change."""


class LayerAdapter(Method[Base], Generic[Layer]):
    """A training method of adapters: of the denoiser's layers and, when requested, of the text encoders'.

    kind: the adapter, for messages.
    """

    folder: ClassVar[Folder] = "loras"
    keeps_base: ClassVar[bool] = False
    kind: ClassVar[str]

    def __init__(self, start: Mapping[str, Mapping[str, Layer]] | None = None) -> None:
        """start: the adapter to continue from; None starts a new one."""
        self._components: tuple[str, ...] = ()
        self._start = start or {}
        self.warnings = start.warnings if isinstance(start, ReadAdapter) else ()

    @classmethod
    def begin(cls, identifier: str, class_noun: str, start: Any = None) -> LayerAdapter[Any]:
        """The method; `start` as in the constructor."""
        return cls(start)

    @abstractmethod
    def _updated(
        self, layer: nn.Linear | nn.Conv2d, start: Layer | None, options: TrainOptions, place: tuple[str, str]
    ) -> UpdatedLayer[Layer]:
        """A layer with its update: that of `start`, else a new one, which changes no output. place: (component, our
        name), of which the random draws are.
        """

    @abstractmethod
    def _fields(self, adapter: Mapping[str, Mapping[str, Layer]]) -> dict[str, str]:
        """The metadata that follow from the trained adapter."""

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Put the updates beside the base's layers; only those of `start` change outputs. Raises OptionError where that
        has layers that the options do not train, or other settings.
        """
        components = self.components(base, options)
        self._components = tuple(components)
        self._require_trained(base, options)
        for component, module in components.items():
            start, targets = self._start.get(component, {}), _targets(base, component, options)
            for name, layer in list(module.named_modules()):
                if isinstance(layer, nn.Linear | nn.Conv2d) and targets.fullmatch(name):
                    parent, _, own = name.rpartition(".")
                    ours = text_encoder_name(name)
                    with torch.no_grad():
                        updated = self._updated(layer, start.get(ours), options, (component, ours))
                    setattr(module.get_submodule(parent), own, updated)
            module.train()

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """{component: {"layer.name of a parameter": tensor}}, detached."""
        modules = base.components()
        return {
            component: {
                f"{name}.{part}": tensor.detach()
                for name, layer in _updated_layers(modules[component])
                for part, tensor in layer.named_parameters(recurse=False)
            }
            for component in self._components
        }

    @contextmanager
    def untrained(self, base: Base) -> Iterator[Base]:
        """A context in which all updates are switched off; yields the base itself."""
        layers = self._layers(base)
        scales = [layer.scale for layer in layers]
        for layer in layers:
            layer.scale = 0.0
        try:
            yield base
        finally:
            for layer, scale in zip(layers, scales, strict=True):
                layer.scale = scale

    def squared_change(self, base: Base, by_factors: bool) -> Tensor:
        """Σ‖ΔW‖² over the layers, or that of the factors; see `Method.squared_change`."""
        layers = self._layers(base)
        return torch.stack([one.squared_factors() if by_factors else one.squared_change() for one in layers]).sum()

    def adapter(self, base: Base, trained: Trained | None = None) -> dict[str, dict[str, Layer]]:
        """The trained adapter: {component: {our name of a layer: its update}}. trained: the result of `trained`,
        unsharded; None: the parameters as they are.
        """
        tensors, modules = trained or self.trained(base), base.components()
        return {
            component: {name: layer.layer(_under(tensors[component], name)) for name, layer in _updated_layers(module)}
            for component, module in modules.items()
            if component in self._components
        }

    def file(self, base: Base, trained: Trained) -> ModelFile:
        """The adapter in kohya's or LyCORIS's layout, in float16."""
        adapter = self.adapter(base, trained)
        tensors = kohya_tensors(adapter, layers_of(base), torch.float16)
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
        return ModelFile(tensors, "kohya", lambda found, name: require_same(found, name, shapes), self._fields(adapter))

    def _layers(self, base: Base) -> list[UpdatedLayer[Any]]:
        """All layers with an update."""
        modules = base.components()
        return [layer for component in self._components for _, layer in _updated_layers(modules[component])]

    def _require_trained(self, base: Base, options: TrainOptions) -> None:
        """Raises OptionError where the adapter to continue has components or layers that the options do not train."""
        for component, own in self._start.items():
            if component not in self._components:
                raise OptionError(f"The {self.kind} to continue changes {component} too: switch train_text_encoder on.")
            targets = _targets(base, component, options)
            if odd := [name for name in own if not targets.fullmatch(name)]:
                raise OptionError(
                    f"The {self.kind} to continue has layers that targets {options.targets!r} do not train; choose "
                    f"wider targets: {listed(odd)}"
                )


def _targets(base: Base, component: str, options: TrainOptions) -> re.Pattern[str]:
    """What matches the names of the layers that get an update."""
    return re.compile(rf".*(?:{base.lora_targets(component, options.targets)})")


def _updated_layers(module: nn.Module) -> Iterator[tuple[str, UpdatedLayer[Any]]]:
    """(our name, layer) of every layer with an update."""
    for name, layer in module.named_modules():
        if isinstance(layer, UpdatedLayer):
            yield text_encoder_name(name), layer


def _under(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """{part: tensor} of one layer."""
    start = f"{name}."
    return {key.removeprefix(start): tensor for key, tensor in tensors.items() if key.rpartition(".")[0] == name}

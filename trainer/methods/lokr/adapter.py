"""The training method LoKr: the update of frozen weights as a Kronecker product (Yeh et al., 2023), by LyCORIS's
definition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...files.checked_file import require_same
from ...files.safetensors import listed
from ...model.base import Base
from ...model.keys import text_encoder_name
from ...model.layers import layers_of
from ...options import TrainOptions
from ...options.choices import MethodName
from ...options.setting import OptionError
from ...randomness import generator
from ..adapter_file import ReadAdapter
from ..lora.adapter import uniform_start
from ..lora.layouts import kohya_tensors
from ..protocol import Folder, Method, ModelFile, Trained
from .file import lokr_fields, read_lokr
from .layer import LokrLayer
from .module import Adapted, new_shapes


class Lokr(Method[Base]):
    """The training method LoKr, on the denoiser's layers and, when requested, on the text encoders'."""

    name: ClassVar[MethodName] = "lokr"
    folder: ClassVar[Folder] = "loras"
    keeps_base: ClassVar[bool] = False

    def __init__(self, start: Mapping[str, Mapping[str, LokrLayer]] | None = None) -> None:
        """start: the LoKr to continue from; None starts a new one."""
        self._components: tuple[str, ...] = ()
        self._start = start or {}
        self.warnings = start.warnings if isinstance(start, ReadAdapter) else ()

    @classmethod
    def begin(cls, identifier: str, class_noun: str, start: Any = None) -> Lokr:
        """The method; `start` as in the constructor."""
        return cls(start)

    @staticmethod
    def read_start(file: Path, base: Base, options: TrainOptions) -> ReadAdapter[LokrLayer]:
        """The LoKr to continue from (see `read_lokr`)."""
        return read_lokr(file, layers_of(base))

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Put the updates beside the base's layers; only those of `start` change outputs. Raises OptionError where that
        has layers that the options do not train, or another rank or alpha.
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
                    adapted = _begun(layer, start.get(ours), options, f"{component}.{ours}")
                    setattr(module.get_submodule(parent), own, adapted)
            module.train()

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """{component: {"layer.lokr_w1" and so on: tensor}}, detached."""
        modules = base.components()
        return {
            component: {
                f"{name}.{part}": tensor.detach()
                for name, layer in _adapted(modules[component])
                for part, tensor in layer.named_parameters(recurse=False)
            }
            for component in self._components
        }

    @contextmanager
    def untrained(self, base: Base) -> Iterator[Base]:
        """The base itself, with all updates switched off."""
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
        """Σ‖s·(w1 ⊗ w2)‖² over the layers, or that of the factors; see `Method.squared_change`."""
        layers = self._layers(base)
        return torch.stack([one.squared_factors() if by_factors else one.squared_change() for one in layers]).sum()

    def lokr(self, base: Base, trained: Trained | None = None) -> dict[str, dict[str, LokrLayer]]:
        """The trained LoKr. trained: what `trained` returned."""
        tensors, modules = trained or self.trained(base), base.components()
        return {
            component: {name: layer.layer(_under(tensors[component], name)) for name, layer in _adapted(module)}
            for component, module in modules.items()
            if component in self._components
        }

    def file(self, base: Base, trained: Trained) -> ModelFile:
        """The LoKr in LyCORIS's layout, in float16."""
        lokr = self.lokr(base, trained)
        tensors = kohya_tensors(lokr, layers_of(base), torch.float16)
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
        return ModelFile(tensors, "kohya", lambda found, name: require_same(found, name, shapes), lokr_fields(lokr))

    def _layers(self, base: Base) -> list[Adapted]:
        """All layers with an update."""
        modules = base.components()
        return [layer for component in self._components for _, layer in _adapted(modules[component])]

    def _require_trained(self, base: Base, options: TrainOptions) -> None:
        """Raises OptionError where the LoKr to continue has components or layers that the options do not train."""
        for component, own in self._start.items():
            if component not in self._components:
                raise OptionError(f"The LoKr to continue changes {component} too: switch train_text_encoder on.")
            targets = _targets(base, component, options)
            if odd := [name for name in own if not targets.fullmatch(name)]:
                raise OptionError(
                    f"The LoKr to continue has layers that targets {options.targets!r} do not train; choose wider "
                    f"targets: {listed(odd)}"
                )


def _targets(base: Base, component: str, options: TrainOptions) -> re.Pattern[str]:
    """What matches the names of the layers that get an update."""
    return re.compile(rf".*(?:{base.lora_targets(component, options.targets)})")


@torch.no_grad()
def _begun(layer: nn.Linear | nn.Conv2d, start: LokrLayer | None, options: TrainOptions, name: str) -> Adapted:
    """A layer with its update: that of `start`, else a new one, in float32 as LyCORIS begins it: w1 and w2_a uniform,
    w2 and w2_b zero. name: that the random draws are of.
    """
    if start is not None:
        return _started(layer, start, options, name)
    shapes = new_shapes(layer.weight.shape, options.rank, options.factor)
    adapted = Adapted(layer, shapes, float(options.rank) if "lokr_w2" in shapes else options.lora_alpha)
    for part, weight in adapted.named_parameters(recurse=False):
        if part in ("lokr_w1", "lokr_w2_a"):
            weight.copy_(uniform_start(weight.shape, generator(options.seed, f"lokr.{name}.{part}", 0)))
    return adapted


@torch.no_grad()
def _started(layer: nn.Linear | nn.Conv2d, start: LokrLayer, options: TrainOptions, name: str) -> Adapted:
    """A layer with the update of `start`. Raises OptionError for another rank or alpha than the options'."""
    for option, asked, found in (("rank", options.rank, start.rank), ("alpha", options.alpha, start.alpha)):
        if start.rank is not None and asked not in (None, found):
            raise OptionError(f"{option} is {asked:g}, and {name} has {found:g}: leave {option} unset to keep it.")
    tensors = {"lokr_w1": start.w1, **dict(zip(start.names_of_w2, start.w2, strict=True))}
    adapted = Adapted(layer, {part: tuple(tensor.shape) for part, tensor in tensors.items()}, start.alpha)
    for part, parameter in adapted.named_parameters(recurse=False):
        parameter.copy_(tensors[part])
    return adapted


def _adapted(module: nn.Module) -> Iterator[tuple[str, Adapted]]:
    """(our name, layer) of every layer with an update."""
    for name, layer in module.named_modules():
        if isinstance(layer, Adapted):
            yield text_encoder_name(name), layer


def _under(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """{part: tensor} of one layer."""
    start = f"{name}."
    return {key.removeprefix(start): tensor for key, tensor in tensors.items() if key.rpartition(".")[0] == name}

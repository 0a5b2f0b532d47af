"""The LoRA training method: a low-rank update of frozen weights, W + (alpha/r)·B·A (Hu et al., 2021), by peft."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.lora import LoraLayer as AdaptedLayer
from torch import Tensor, nn

from ...model.base import Base
from ...model.keys import text_encoder_name
from ...model.layers import layers_of
from ...options import TrainOptions
from ...options.choices import MethodName
from ...randomness import generator, scoped_seed
from ..adapter_file import ReadAdapter
from ..protocol import Folder, Method, ModelFile, Trained
from .change import squared_factors, squared_product
from .file import ReadLora
from .layouts import kohya_tensors, network_metadata, require_lora_of
from .start import starting_weights
from .weights import LoraLayer, LoraWeights, all_layers, from_peft


class Lora(Method[Base]):
    """The training method LoRA, on the denoiser's layers and, when requested, on the text encoders'."""

    name: ClassVar[MethodName] = "lora"
    folder: ClassVar[Folder] = "loras"
    keeps_base: ClassVar[bool] = False

    def __init__(self, start: LoraWeights | None = None) -> None:
        """start: the LoRA to continue from, with its ranks and alphas; None starts a new one.

        Layers that `start` lacks get a new LoRA, with the alpha that `start` has at the options' rank where the options
        leave alpha unset.
        """
        self._components: tuple[str, ...] = ()
        self._start = start or {}
        self.warnings: tuple[str, ...] = start.warnings if isinstance(start, ReadAdapter) else ()

    @classmethod
    def begin(cls, identifier: str, class_noun: str, start: Any = None) -> Lora:
        """The method; `start` as in the constructor."""
        return cls(start)

    @staticmethod
    def read_start(file: Path, base: Base, options: TrainOptions) -> ReadLora:
        """The LoRA to continue from (see `starting_weights`)."""
        return starting_weights(file, base, options)

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Add the adapters to the base. A is initialised from the run's seed and B with zeros, so only `start` changes
        outputs.
        """
        components = self.components(base, options)
        self._components = tuple(components)
        alpha = options.lora_alpha if options.alpha is not None else _alpha_of(self._start, options.rank)
        with scoped_seed(options.seed, "lora"):
            for component, module in components.items():
                names = base.lora_targets(component, options.targets)
                start = self._start.get(component, {})
                config = _config(options.rank, alpha, rf".*(?:{names})", module, start, options.conv_rank)
                inject_adapter_in_model(config, module)
                _begin(module, options.seed, component)
                _fill(module, start)
                _cast_nothing(module)
                module.train()

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """The adapters' weights: {component: {"layer.lora_A.weight": A [r, in], "layer.lora_B.weight": B [out, r]}},
        detached.

        A convolution's are [r, in, k, k] and [out, r, 1, 1].
        """
        modules = base.components()
        return {
            component: {
                text_encoder_name(key): tensor.detach()
                for key, tensor in get_peft_model_state_dict(modules[component]).items()
            }
            for component in self._components
        }

    @contextmanager
    def untrained(self, base: Base) -> Iterator[Base]:
        """The base itself, with all adapters at a scale of zero."""
        modules = base.components()
        layers = [layer for component in self._components for _, layer in adapted_layers(modules[component])]
        scales = [layer.scaling["default"] for layer in layers]
        for layer in layers:
            layer.scaling["default"] = 0.0
        try:
            yield base
        finally:
            for layer, scale in zip(layers, scales, strict=True):
                layer.scaling["default"] = scale

    def squared_change(self, base: Base, by_factors: bool) -> Tensor:
        """Σ‖s·B·A‖² over the layers with s = alpha/r, or Σ(‖A‖² + ‖B‖²); see `Method.squared_change`."""
        modules = base.components()
        layers = [layer for component in self._components for _, layer in adapted_layers(modules[component])]
        norm = squared_factors if by_factors else squared_product
        terms = [
            norm(one.lora_A["default"].weight, one.lora_B["default"].weight, one.scaling["default"]) for one in layers
        ]
        return torch.stack(terms).sum()

    def file(self, base: Base, trained: Trained) -> ModelFile:
        """The LoRA in kohya's layout, in float16."""
        lora, layers = self.weights(base, trained), layers_of(base)
        tensors = kohya_tensors(lora, layers, torch.float16)
        return ModelFile(
            tensors,
            "kohya",
            lambda found, name: require_lora_of(layers, "kohya", found, name),
            network_metadata(lora),
        )

    def weights(self, base: Base, trained: Trained | None = None) -> LoraWeights:
        """The trained LoRA, with each layer's own alpha. trained: what `trained` returned, unsharded."""
        return from_peft(trained or self.trained(base), self.alphas(base))

    def alphas(self, base: Base) -> dict[str, dict[str, float]]:
        """{component: {our name of an adapted layer: its alpha}}."""
        modules = base.components()
        return {component: _alphas(modules[component]) for component in self._components}


def _begin(module: nn.Module, seed: int, component: str) -> None:
    """Initialise the adapters in float32: A from the seed, and alike on every device, B left at zero. peft would sample
    A in the frozen layer's dtype.
    """
    for name, weight in module.named_parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
            if ".lora_A." in name:
                weight.data.copy_(uniform_start(weight.shape, generator(seed, f"lora.{component}.{name}", 0)))


def uniform_start(shape: Sequence[int], source: torch.Generator) -> Tensor:
    """The initial values that peft and torch give a linear layer: uniform within ±1 / sqrt(inputs)."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return (torch.rand(shape, generator=source) * 2 - 1) * bound


def _alpha_of(start: LoraWeights, rank: int) -> float:
    """The alpha of the layers of this rank in `start`; the rank itself where there are no such layers or their alphas
    differ.
    """
    alphas = {layer.alpha for _, _, layer in all_layers(start) if layer.rank == rank}
    return alphas.pop() if len(alphas) == 1 else float(rank)


def _config(
    rank: int, alpha: float, targets: str, module: nn.Module, start: Mapping[str, LoraLayer], conv_rank: int
) -> LoraConfig:
    """peft's configuration. targets: a regular expression for the layers; start: the layers to continue from.
    conv_rank: of 3 x 3 convolutions, at the same scale; 0: `rank`.
    """
    names = {text_encoder_name(name): name for name, _ in module.named_modules()}
    own = {names[layer]: weights for layer, weights in start.items()}
    new = [(name, one) for name, one in module.named_modules() if re.fullmatch(targets, name) and name not in own]
    wide = [name for name, layer in new if conv_rank and _is_wide(layer)]
    # Layers of `start` that no targets name are trained along: left as they are, their change would be lost.
    targets = "|".join([targets, *map(re.escape, own)])
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=targets,
        rank_pattern={**dict.fromkeys(wide, conv_rank), **{name: layer.rank for name, layer in own.items()}},
        alpha_pattern={
            **dict.fromkeys(wide, alpha * conv_rank / rank),
            **{name: layer.alpha for name, layer in own.items()},
        },
    )


def _is_wide(layer: nn.Module) -> bool:
    """Whether a layer is a convolution of more than one pixel."""
    return isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)


@torch.no_grad()
def _fill(module: nn.Module, start: Mapping[str, LoraLayer]) -> None:
    """Copy the weights of `start` into the adapters."""
    adapted = dict(adapted_layers(module))
    for name, layer in start.items():
        adapted[name].lora_A["default"].weight.copy_(layer.down)
        adapted[name].lora_B["default"].weight.copy_(layer.up)


def _cast_nothing(module: nn.Module) -> None:
    """Switch off peft's cast of a layer's input to the adapter's float32, which autocast would undo: the outputs are
    the same, and two casts are saved.
    """
    for _, layer in adapted_layers(module):
        layer.cast_input_dtype_enabled = False


def _alphas(module: nn.Module) -> dict[str, float]:
    """{our name of an adapted layer: its alpha}."""
    return {name: float(layer.lora_alpha["default"]) for name, layer in adapted_layers(module)}


def adapted_layers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """(our name, peft's layer) of every layer that has an adapter."""
    for name, layer in module.named_modules():
        if isinstance(layer, AdaptedLayer):
            yield text_encoder_name(name), layer

"""A LoRA in memory, independent of the names in files: W + (alpha/rank)·up·down for each layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # A host that trains in another process may have another torch, or none.
    import torch
    from torch import Tensor

DOWN, UP, ALPHA = "down", "up", "alpha"
"""The parts of a layer's LoRA."""
PEFT = {".lora_A.weight": DOWN, ".lora_B.weight": UP}
"""{end of a peft key: part of the LoRA}."""


@dataclass(frozen=True)
class LoraLayer:
    """One layer's LoRA. down: A, [rank, in] or [rank, in, k, k]; up: B, [out, rank] or [out, rank, 1, 1]."""

    down: Tensor
    up: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        """The rank: rows of `down`."""
        return self.down.shape[0]

    @property
    def is_wide(self) -> bool:
        """Whether the layer is a convolution of more than one pixel."""
        return any(side > 1 for side in self.down.shape[2:])

    def change(self) -> Tensor:
        """The update of the weight, (alpha/rank)·up·down, in float32, flattened to [out, in·k·k]."""
        return (self.alpha / self.rank) * (self.up.float().flatten(1) @ self.down.float().flatten(1))

    def merged(self, weight: Tensor, strength: float = 1.0) -> Tensor:
        """The weight with the update at a strength, in float32: W + strength·(alpha/rank)·up·down."""
        return weight.float() + strength * self.change().reshape(weight.shape)

    def kohya_tensors(self, name: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """{kohya's key: tensor}, the alpha in float32. name: of the layer in kohya's files. Raises ValueError where
        `dtype` cannot represent a value.
        """
        import torch

        from ...files.lazy_tensors import finite

        down, up = f"{name}.lora_down.weight", f"{name}.lora_up.weight"
        return {
            down: finite(self.down.to(dtype), down),
            up: finite(self.up.to(dtype), up),
            f"{name}.alpha": torch.tensor(self.alpha),
        }

    def folded(self) -> LoraLayer:
        """An equivalent LoRA with alpha = rank, for layouts that do not store alphas."""
        if self.alpha == self.rank:
            return self
        return LoraLayer(self.down, self.up.float() * (self.alpha / self.rank), float(self.rank))

    def padded(self, rank: int) -> LoraLayer:
        """An equivalent LoRA of a higher rank, padded with zeros."""
        from torch.nn.functional import pad

        more = rank - self.rank
        if not more:
            return self
        down = pad(self.down, [0, 0] * (self.down.ndim - 1) + [0, more])
        up = pad(self.up, [0, 0] * (self.up.ndim - 2) + [0, more])
        return LoraLayer(down, up, self.alpha * rank / self.rank)


LoraWeights = Mapping[str, Mapping[str, LoraLayer]]
"""{component: {our name of a layer: its LoRA}}; our names are diffusers' and transformers' (see `model.keys`)."""


def all_layers(lora: LoraWeights) -> Iterator[tuple[str, str, LoraLayer]]:
    """(component, name of the layer, its LoRA) of every layer."""
    for component, layers in lora.items():
        for name, layer in layers.items():
            yield component, name, layer


def ranks(lora: LoraWeights) -> set[int]:
    """The distinct ranks of all layers."""
    return {layer.rank for _, _, layer in all_layers(lora)}


def from_peft(
    trained: Mapping[str, Mapping[str, Tensor]], alphas: float | Mapping[str, Mapping[str, float]]
) -> LoraWeights:
    """The LoRA with peft's tensors {component: {"layer.lora_A.weight" or "layer.lora_B.weight": tensor}}.

    alphas: one for all layers, or {component: {layer: alpha}}. Raises KeyError for a tensor that is no part of a LoRA.
    """
    return {
        component: {name: _layer(weights, name, alphas, component) for name in _names(weights)}
        for component, weights in trained.items()
    }


def _names(weights: Mapping[str, Tensor]) -> list[str]:
    """The distinct names of the layers. Raises KeyError for a key that is no part of a LoRA."""
    names: dict[str, None] = {}
    for key in weights:
        ending = next((ending for ending in PEFT if key.endswith(ending)), None)
        if ending is None:
            raise KeyError(f"{key!r} is no part of a LoRA")
        names[key.removesuffix(ending)] = None
    return list(names)


def _layer(
    weights: Mapping[str, Tensor], name: str, alphas: float | Mapping[str, Mapping[str, float]], component: str
) -> LoraLayer:
    """The LoRA of one layer, from peft's tensors."""
    alpha = alphas[component][name] if isinstance(alphas, Mapping) else alphas
    return LoraLayer(weights[f"{name}.lora_A.weight"], weights[f"{name}.lora_B.weight"], float(alpha))

"""A LoRA in memory, free of any file's names: W + (alpha/rank)·up·down for each layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

DOWN, UP, ALPHA = "down", "up", "alpha"
PEFT = {".lora_A.weight": DOWN, ".lora_B.weight": UP}


@dataclass(frozen=True)
class LoraLayer:
    """down: [rank, in] or [rank, in, k, k]; up: [out, rank] or [out, rank, 1, 1]."""

    down: Tensor
    up: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        """Rows of `down`."""
        return self.down.shape[0]

    def change(self) -> Tensor:
        """(alpha/rank)·up·down, float32, flat: [out, in·k·k]."""
        return (self.alpha / self.rank) * (self.up.float().flatten(1) @ self.down.float().flatten(1))

    def folded(self) -> LoraLayer:
        """The same change with alpha = rank, for layouts that have no place for an alpha."""
        if self.alpha == self.rank:
            return self
        return LoraLayer(self.down, self.up.float() * (self.alpha / self.rank), float(self.rank))

    def padded(self, rank: int) -> LoraLayer:
        """The same change at a higher rank, by zeros."""
        more = rank - self.rank
        if not more:
            return self
        down = pad(self.down, [0, 0] * (self.down.ndim - 1) + [0, more])
        up = pad(self.up, [0, 0] * (self.up.ndim - 2) + [0, more])
        return LoraLayer(down, up, self.alpha * rank / self.rank)


LoraWeights = Mapping[str, Mapping[str, LoraLayer]]
"""{component: {our name of a layer: its LoRA}}."""


def all_layers(lora: LoraWeights) -> Iterator[tuple[str, str, LoraLayer]]:
    """(component, layer, its LoRA), one after another."""
    for component, layers in lora.items():
        for name, layer in layers.items():
            yield component, name, layer


def ranks(lora: LoraWeights) -> set[int]:
    """The ranks that occur."""
    return {layer.rank for _, _, layer in all_layers(lora)}


def from_peft(
    trained: Mapping[str, Mapping[str, Tensor]], alphas: float | Mapping[str, Mapping[str, float]]
) -> LoraWeights:
    """A LoRA of {component: {"layer.lora_A.weight" or "layer.lora_B.weight": tensor}}.

    alphas: one for all, or {component: {layer: alpha}}. Raises KeyError for a tensor that is no part of a LoRA.
    """
    return {
        component: {name: _layer(weights, name, alphas, component) for name in _names(weights)}
        for component, weights in trained.items()
    }


def finite(tensor: Tensor, key: str) -> Tensor:
    """The tensor, if all its values are numbers. Raises ValueError, naming the weight."""
    if not torch.isfinite(tensor).all():
        raise ValueError(f"The trained weight {key!r} holds values that are no numbers; nothing was saved.")
    return tensor


def _names(weights: Mapping[str, Tensor]) -> list[str]:
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
    alpha = alphas[component][name] if isinstance(alphas, Mapping) else alphas
    return LoraLayer(weights[f"{name}.lora_A.weight"], weights[f"{name}.lora_B.weight"], float(alpha))

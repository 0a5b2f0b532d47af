"""The LoRA beside a host's layers, added to their outputs by forward hooks: no module of the host is changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ...trainer.randomness import generator
from .targets import Linear


class LowRank(nn.Module):
    """One layer's update in float32: (alpha/rank)·B·A·x. down: A [rank, in]; up: B [out, rank]."""

    def __init__(self, down: Tensor, up: Tensor, alpha: float) -> None:
        super().__init__()
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """The update for the layer's input [..., in], in float32 [..., out]."""
        return (x.float() @ self.down.T) @ self.up.T * (self.alpha / len(self.down))


class Branch(nn.Module):
    """The updates of several layers. layers: {the host's name of a layer: its module}."""

    def __init__(self, layers: Mapping[str, Linear], updates: Mapping[str, LowRank]) -> None:
        super().__init__()
        # A module's own name must not hold a dot.
        self.updates = nn.ModuleDict({name.replace(".", "/"): update for name, update in updates.items()})
        self._hosts = dict(layers)
        self._handles: list[RemovableHandle] = []

    def attach(self) -> None:
        """Add the updates to the layers' outputs from now on."""
        if not self._handles:
            self._handles = [self._hosts[name].register_forward_hook(_adds(u)) for name, u in self.by_name.items()]

    def detach(self) -> None:
        """Leave the layers as they were."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    @property
    def by_name(self) -> dict[str, LowRank]:
        """{the host's name of a layer: its update}."""
        return {name.replace("/", "."): update for name, update in self.updates.items()}  # type: ignore[misc]


def new_update(layer: Linear, name: str, rank: int, alpha: float, seed: int, device: torch.device) -> LowRank:
    """The update of a new LoRA: A uniform within ±1/sqrt(in), a function of seed and name; B zero."""
    bound = 1 / math.sqrt(layer.in_features)
    random = torch.rand(rank, layer.in_features, generator=generator(seed, f"lora.denoiser.{name}", 0))
    down, up = (random * 2 - 1) * bound, torch.zeros(layer.out_features, rank)
    return LowRank(down.to(device), up.to(device), alpha)


def _adds(update: LowRank) -> Any:
    """The forward hook that adds an update to a layer's output, in the output's dtype."""

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + update(inputs[0]).to(output.dtype)

    return hook

"""The judges' networks: two trunks of different make, and the heads that both carry."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .palette import COLOURS, NOUNS, PLACES

SIZE = 128
"""Side of the pictures that the networks take, in pixels."""
EMBEDDING, NAMING = 128, 96
ARCHITECTURES = {"a": "residual convolutions", "b": "separable convolutions between 16 x 16 patches"}


class Judgement(NamedTuple):
    """Logits of noun, place and colour, and two unit embeddings [B, 128]: of the kind of thing, of its likeness."""

    noun: Tensor
    place: Tensor
    colour: Tensor
    kind: Tensor
    likeness: Tensor


class ConvTrunk(nn.Module):
    """Residual convolutions at strides 8, 16 and 32; returns the three stages' maps [B, C, H, W]."""

    def __init__(self, widths: tuple[int, int, int, int] = (24, 48, 96, 160)) -> None:
        super().__init__()
        stem, first, second, third = widths
        self.width = third
        self.stem = nn.Sequential(_convolution(3, stem // 2, 4, 2, 1), _convolution(stem // 2, stem, 3, 2, 1))
        self.stages = nn.ModuleList(
            [
                nn.Sequential(_Residual(stem, first, 2), _Residual(first, first, 1)),
                nn.Sequential(_Residual(first, second, 2), _Residual(second, second, 1)),
                nn.Sequential(_Residual(second, third, 2)),
            ]
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The stages' maps of pictures [B, 3, 128, 128]."""
        maps = [self.stem(pictures)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


class PatchTrunk(nn.Module):
    """Four convolutions down to stride 16, then separable blocks; a stage is what every second block leaves."""

    def __init__(self, width: int = 128, stages: int = 2) -> None:
        super().__init__()
        self.width = width
        self.stem = nn.Sequential(
            _convolution(3, width // 8, 4, 2, 1),
            _convolution(width // 8, width // 4, 3, 2, 1),
            _convolution(width // 4, width // 2, 3, 2, 1),
            _convolution(width // 2, width, 3, 2, 1),
        )
        self.stages = nn.ModuleList(nn.Sequential(_Separable(width), _Separable(width)) for _ in range(stages))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The stem's and the stages' maps of pictures [B, 3, 128, 128]."""
        maps = [self.stem(pictures)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps


class JudgeNetwork(nn.Module):
    """A trunk, three classifiers and the likeness embedding."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ValueError(f"architecture {architecture!r}: expected one of {', '.join(ARCHITECTURES)}")
        self.trunk = ConvTrunk() if architecture == "a" else PatchTrunk()
        pooled = 2 * self.trunk.width
        # naming needs what drawings of a noun share, likeness what sets them apart: layers of their own
        self.naming = _Residual(self.trunk.width, NAMING, 1)
        self.noun = nn.Linear(2 * NAMING, len(NOUNS))
        self.kind = nn.Linear(2 * NAMING, EMBEDDING)
        self.place = nn.Linear(pooled, len(PLACES) + 1)
        self.colour = nn.Linear(pooled, len(COLOURS) + 1)
        self.likeness = nn.Sequential(nn.Linear(pooled, 192), nn.ReLU(), nn.Linear(192, EMBEDDING))

    def forward(self, pictures: Tensor) -> Judgement:
        """What pictures [B, 3, 128, 128] in -1 to 1 show."""
        last = self.trunk(pictures)[-1]
        named, seen = _pool(self.naming(last)), _pool(last)
        logits = (self.noun(named).float(), self.place(seen).float(), self.colour(seen).float())
        return Judgement(*logits, _unit(self.kind(named)), _unit(self.likeness(seen)))


def _pool(features: Tensor) -> Tensor:
    return torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors.float(), dim=1)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), _norm(outputs), nn.ReLU())


def _norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    # a counter of steps: an integer could not be averaged with the weights
    norm.num_batches_tracked = torch.tensor(0.0)
    return norm


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, 3, stride, 1)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), _norm(outputs))
        self.shrink = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        project = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), _norm(outputs))
        self.project = project if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.project(self.shrink(x)))


class _Separable(nn.Module):
    """Depthwise 3 x 3, then two 1 x 1 with a wider middle (the block of ConvNeXt, Liu et al. 2022)."""

    def __init__(self, width: int, wider: int = 3) -> None:
        super().__init__()
        self.across = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False), _norm(width))
        middle = width * wider
        self.between = nn.Sequential(nn.Conv2d(width, middle, 1), nn.ReLU(), nn.Conv2d(middle, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.between(self.across(x))
        return x + mixed

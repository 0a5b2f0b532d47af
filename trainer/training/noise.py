"""The noise ε of the examples: white, or with an offset or coarse structure on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import randomness

RATIO = 2.0
"""The ratio of sizes of one level to the next, at least; it is drawn from RATIO to twice that."""


@dataclass(frozen=True)
class Noise:
    """The distribution of ε. White noise hardly changes a picture's mean and large shapes, so that a model learns
    neither to darken nor to brighten a whole picture.

    offset: o of ε + o·n with one n ~ N(0, 1) for each image and channel (Guttenberg, 2023, "Diffusion with Offset
    Noise"). levels, discount: of multi-resolution noise (Whitaker, 2023): ε + Σ d^i·up(ε_i) for i from 0 to levels − 1,
    divided by its standard deviation; ε_i is smaller by r^i, where r is drawn from 2 to 4 for each level.
    """

    offset: float = 0.0
    levels: int = 0
    discount: float = 0.3

    def drawn(self, seed: int, stream: str, samples: Sequence[int], shape: Sequence[int]) -> Tensor:
        """ε of these samples, float32 [len(samples), *shape] with C first and h, w last in `shape`; a row depends on
        its own index alone.
        """
        noise = randomness.normal(seed, stream, samples, shape)
        if self.levels:
            rows = [self._in_levels(row, seed, stream, index) for row, index in zip(noise, samples, strict=True)]
            noise = torch.stack(rows)
        if self.offset:
            one_each = (shape[0], *(1 for _ in shape[1:]))
            noise = noise + self.offset * randomness.normal(seed, f"{stream}.offset", samples, one_each)
        return noise

    def _in_levels(self, noise: Tensor, seed: int, stream: str, sample: int) -> Tensor:
        """The multi-resolution noise made of white noise [C, …, h, w]."""
        generator = randomness.generator(seed, f"{stream}.levels", sample)
        height, width = noise.shape[-2:]
        planes = noise.reshape(1, -1, height, width)
        for level in range(self.levels):
            ratio = (RATIO * (1 + float(torch.rand(1, generator=generator)))) ** level
            size = max(1, int(height / ratio)), max(1, int(width / ratio))
            coarse = torch.randn((1, planes.shape[1], *size), generator=generator)
            planes = planes + self.discount**level * F.interpolate(coarse, (height, width), mode="bilinear")
            if 1 in size:
                break
        return (planes / planes.std()).reshape(noise.shape)

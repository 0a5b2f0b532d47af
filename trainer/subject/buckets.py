"""Aspect-ratio buckets: the sizes that photos of different shapes are trained at.

Of all sizes with about as many pixels as the training resolution, a photo gets the one nearest to it in aspect ratio,
so that little of it is cropped (NovelAI, 2022, "Aspect Ratio Bucketing").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

Size = tuple[int, int]
"""Width and height in pixels."""

SIDE_STEP = 8
"""The VAE's downsampling factor."""
SMALLEST_SIDE = 32
"""The smallest training resolution, in pixels a side."""
SMALLEST_BUCKET = 64
"""The smallest side of a bucket, in pixels: in fewer a model draws nothing that one would know."""
LARGEST_STEP = 64
"""The step between the sides of buckets, in pixels, at resolutions of 512 and more; below, an eighth of the side, as a
multiple of 8.
"""
STEEPEST = 2
"""The largest ratio of a bucket's long side to the side of a square with as many pixels."""


def require_trainable_size(width: int, height: int) -> None:
    """Raises ValueError unless both sides are multiples of 8 (the VAE's downsampling factor) and at least 32 pixels."""
    for side, value in (("width", width), ("height", height)):
        if value < SMALLEST_SIDE or value % SIDE_STEP:
            raise ValueError(f"training {side} {value}: choose a multiple of {SIDE_STEP}, {SMALLEST_SIDE} or more")


@dataclass(frozen=True)
class TrainingSize:
    """The size that photos are trained at, width x height pixels, or with `buckets` the sizes around it. only: these
    sizes instead of both, where there are any.

    Raises ValueError for a size that cannot be trained at, and for buckets with a side below 64 pixels.
    """

    width: int
    height: int
    buckets: bool = False
    only: tuple[Size, ...] = ()

    def __post_init__(self) -> None:
        require_trainable_size(self.width, self.height)
        if self.buckets and min(map(min, self.sizes)) < SMALLEST_BUCKET:
            raise ValueError(
                f"{self.width} x {self.height} pixels are too few for buckets: their narrowest would have a side of "
                f"{min(map(min, self.sizes))} pixels, and {SMALLEST_BUCKET} is the least; train at a higher resolution "
                "(128 or more), or crop all photos to one size"
            )

    @cached_property
    def sizes(self) -> tuple[Size, ...]:
        """All sizes that a photo may get, of which the first one is width x height."""
        own = (self.width, self.height)
        if self.only:
            return self.only
        return (own, *(size for size in self._bucket_sizes() if size != own)) if self.buckets else (own,)

    def nearest(self, width: int, height: int) -> Size:
        """The size for a photo of `width` x `height` pixels: the nearest in aspect ratio, by its logarithm."""
        wanted = math.log(width / height)
        return min(self.sizes, key=lambda size: abs(math.log(size[0] / size[1]) - wanted))

    def _bucket_sizes(self) -> list[Size]:
        """For each shorter side, the largest size of at most width x height pixels, in both orientations; all sides are
        multiples of the step.
        """
        pixels, side = self.width * self.height, math.sqrt(self.width * self.height)
        step = min(LARGEST_STEP, max(SIDE_STEP, int(side / 8) // SIDE_STEP * SIDE_STEP))
        shorter = range(math.ceil(side / STEEPEST / step) * step, int(side) + 1, step)
        sizes = [(short, pixels // short // step * step) for short in shorter]
        return list(dict.fromkeys(size for short, long in sizes for size in ((short, long), (long, short))))

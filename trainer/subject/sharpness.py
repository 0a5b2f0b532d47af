"""How blurred an image is, measured where it shows the most detail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
"""A grey image [H, W], float32 in 0..1."""
_BLOCKS = 4
"""Blocks per side into which `blur` divides an image."""
_LOOKED_AT = 4
"""How many of the most detailed blocks `blur` measures."""
_WINDOW = 9
"""Pixels of the moving average that `blur` compares with."""


def blur(grey: Grey) -> float:
    """The blur of an image, from 0 (sharp) to 1 (entirely smooth). Sides must be 32 pixels or more.

    It is the blur of the sharpest among the 4 most detailed of 16 blocks: a blurred background is no fault, and a plain
    wall tells nothing about the focus.
    """
    height, width = grey.shape
    rows = [slice(i * height // _BLOCKS, (i + 1) * height // _BLOCKS) for i in range(_BLOCKS)]
    columns = [slice(i * width // _BLOCKS, (i + 1) * width // _BLOCKS) for i in range(_BLOCKS)]
    blocks = sorted((grey[r, c] for r in rows for c in columns), key=_detail, reverse=True)
    return min(_blur_effect(block) for block in blocks[:_LOOKED_AT])


def smoothed(grey: Grey, axis: int, window: int = _WINDOW) -> Grey:
    """The image's moving average over `window` (an odd number) pixels along one axis, with edges repeated."""
    lengths = [(window // 2 + 1, window // 2) if i == axis else (0, 0) for i in range(2)]
    sums = np.cumsum(np.pad(grey, lengths, mode="edge").astype(np.float64), axis=axis)
    count = grey.shape[axis]
    later = np.take(sums, range(window, window + count), axis=axis)
    means: Grey = ((later - np.take(sums, range(count), axis=axis)) / window).astype(np.float32)
    return means


def _detail(block: Grey) -> float:
    """The sum of absolute differences between neighbouring pixels, in both directions."""
    return float(sum(np.abs(np.diff(block, axis=axis)).sum() for axis in (0, 1)))


def _blur_effect(block: Grey) -> float:
    """The blur of a block, 0..1, in the direction where it is greater."""
    return max(_blur_along(block, axis) for axis in (0, 1))


def _blur_along(block: Grey, axis: int) -> float:
    """The blur of a block along one axis, 0..1: the share of the pixel differences that remains after smoothing (the
    blur effect of Crete et al., 2007). 1 for a block without differences.
    """
    before = np.abs(np.diff(block, axis=axis))
    after = np.abs(np.diff(smoothed(block, axis), axis=axis))
    total = float(before.sum())
    if total == 0:
        return 1.0
    return 1 - float(np.maximum(0, before - after).sum()) / total

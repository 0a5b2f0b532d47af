"""How blurred a picture is, without another one to compare it with.

The measure of Crete et al., "The blur effect" (2007): a picture that is already blurred loses little of its
gradients when it is blurred once more. It does not depend on contrast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
"""[H, W] in 0..1."""

_BLOCKS = 4
_LOOKED_AT = 4
_WINDOW = 9


def blur(grey: Grey) -> float:
    """0 (sharp) to 1 (nothing but smooth), of the sharpest of the 4 blocks of 16 that hold the most detail.

    A blurred background is no fault, and a plain wall says nothing of the lens: the best of the detailed
    parts decides. Sides of 32 pixels or more.
    """
    height, width = grey.shape
    rows = [slice(i * height // _BLOCKS, (i + 1) * height // _BLOCKS) for i in range(_BLOCKS)]
    columns = [slice(i * width // _BLOCKS, (i + 1) * width // _BLOCKS) for i in range(_BLOCKS)]
    blocks = sorted((grey[r, c] for r in rows for c in columns), key=_detail, reverse=True)
    return min(_blur_effect(block) for block in blocks[:_LOOKED_AT])


def smoothed(grey: Grey, axis: int, window: int = _WINDOW) -> Grey:
    """Means over `window` (odd) places along an axis, edges repeated."""
    lengths = [(window // 2 + 1, window // 2) if i == axis else (0, 0) for i in range(2)]
    sums = np.cumsum(np.pad(grey, lengths, mode="edge").astype(np.float64), axis=axis)
    count = grey.shape[axis]
    later = np.take(sums, range(window, window + count), axis=axis)
    means: Grey = ((later - np.take(sums, range(count), axis=axis)) / window).astype(np.float32)
    return means


def _detail(block: Grey) -> float:
    return float(sum(np.abs(np.diff(block, axis=axis)).sum() for axis in (0, 1)))


def _blur_effect(block: Grey) -> float:
    return max(_blur_along(block, axis) for axis in (0, 1))


def _blur_along(block: Grey, axis: int) -> float:
    before = np.abs(np.diff(block, axis=axis))
    after = np.abs(np.diff(smoothed(block, axis), axis=axis))
    total = float(before.sum())
    if total == 0:
        return 1.0
    return 1 - float(np.maximum(0, before - after).sum()) / total

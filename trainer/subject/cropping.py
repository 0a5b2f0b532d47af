"""Centre crop and resize in one resampling step: the aspect ratio is kept, and no crop is random or rounded
to pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .frame import Frame
from .raster import Band, Raster

Floats = NDArray[np.float32]
Size = tuple[int, int]
"""Width and height in pixels."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""

_HALF_A_LEVEL = 0.5 / 255
"""Half a step of an 8-bit value in 0..1: a weight that is closer to 1 counts as 1."""


def cropped_pixels(raster: Raster, size: Size, box: Box) -> Floats:
    """The image inside `box` at `size`, RGB [3, H, W] in 0..1: Lanczos, antialiased, transparency over white."""
    bands = [_resized(band, box, size, Image.Resampling.LANCZOS) for band in _over_white(raster)]
    return np.stack(bands)


def cropped_mask(raster: Raster, mask: Band | None, size: Size, box: Box) -> Floats | None:
    """The loss weights [H, W] inside `box` at `size`, in 0..1: alpha times mask, bilinear. None where all are 1."""
    if raster.alpha is None and mask is None:
        return None
    weight: Floats = np.ones(raster.bands[0].shape, np.float32) if mask is None else mask
    if raster.alpha is not None:
        weight = weight * (raster.alpha.astype(np.float32) / np.float32(raster.peak))
    weight = _resized(weight, box, size, Image.Resampling.BILINEAR)
    return None if weight.min() > 1 - _HALF_A_LEVEL else weight


def centre_box(shape: tuple[int, ...], size: Size) -> Box:
    """The largest centred box of an image [H, W] with the aspect ratio of `size`."""
    height, width = shape
    scale = min(width / size[0], height / size[1])
    left = max((width - size[0] * scale) / 2, 0.0)
    top = max((height - size[1] * scale) / 2, 0.0)
    return left, top, width - left, height - top


def frame_of(shape: tuple[int, ...], size: Size, box: Box) -> Frame:
    """The `Frame` of the crop `box` of an image [H, W]: its original size, the crop's corner in pixels of the resized
    image, and the crop's size.
    """
    left, top, right, _ = box
    scale = size[0] / (right - left)
    return Frame((shape[0], shape[1]), (round(top * scale), round(left * scale)), (size[1], size[0]))


def _over_white(raster: Raster) -> Iterator[Floats]:
    """The colour bands in 0..1, composed over white. This precedes resizing, so that the hidden colours of transparent
    pixels do not bleed into visible ones.
    """
    peak = np.float32(raster.peak)
    for band in raster.bands:
        colour = band.astype(np.float32) / peak
        if raster.alpha is not None:
            colour = 1 + (colour - 1) * (raster.alpha.astype(np.float32) / peak)
        yield colour


def _resized(band: Floats, box: Box, size: Size, resampling: Image.Resampling) -> Floats:
    """The part of a band [H, W] inside `box`, resampled to `size` and clipped to 0..1."""
    image = Image.fromarray(np.ascontiguousarray(band)).resize(size, resampling, box=box)
    resized: Floats = np.clip(np.asarray(image), 0, 1)
    return resized

"""Centre crop and resize in one step: no distortion, no random crop, no rounding in between."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .decoding import Band, Raster
from .frame import Frame

Floats = NDArray[np.float32]
Size = tuple[int, int]
"""Width and height."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""

_HALF_A_LEVEL = 0.5 / 255


def cropped_pixels(raster: Raster, size: Size) -> Floats:
    """[3, H, W] in 0..1: Lanczos, antialiased, what is transparent over white."""
    box = centre_box(raster.bands[0].shape, size)
    bands = [_resized(band, box, size, Image.Resampling.LANCZOS) for band in _over_white(raster)]
    return np.stack(bands)


def cropped_mask(raster: Raster, mask: Band | None, size: Size) -> Floats | None:
    """[H, W] in 0..1: alpha times mask, bilinear. None if nothing of the crop is weighted down."""
    if raster.alpha is None and mask is None:
        return None
    weight: Floats = np.ones(raster.bands[0].shape, np.float32) if mask is None else mask
    if raster.alpha is not None:
        weight = weight * (raster.alpha.astype(np.float32) / np.float32(raster.peak))
    weight = _resized(weight, centre_box(weight.shape, size), size, Image.Resampling.BILINEAR)
    return None if weight.min() > 1 - _HALF_A_LEVEL else weight


def centre_box(shape: tuple[int, ...], size: Size) -> Box:
    """The largest centred box of an image [H, W] with the aspect ratio of `size`."""
    height, width = shape
    scale = min(width / size[0], height / size[1])
    left = max((width - size[0] * scale) / 2, 0.0)
    top = max((height - size[1] * scale) / 2, 0.0)
    return left, top, width - left, height - top


def frame_of(shape: tuple[int, ...], size: Size) -> Frame:
    """How `centre_box` cuts an image [H, W] out; the crop's corner in pixels of the resized image."""
    left, top, right, _ = centre_box(shape, size)
    scale = size[0] / (right - left)
    return Frame((shape[0], shape[1]), (round(top * scale), round(left * scale)), (size[1], size[0]))


def _over_white(raster: Raster) -> Iterator[Floats]:
    """Bands in 0..1; composed before resizing, so that hidden colours do not bleed from alpha 0."""
    peak = np.float32(raster.peak)
    for band in raster.bands:
        colour = band.astype(np.float32) / peak
        if raster.alpha is not None:
            colour = 1 + (colour - 1) * (raster.alpha.astype(np.float32) / peak)
        yield colour


def _resized(band: Floats, box: Box, size: Size, resampling: Image.Resampling) -> Floats:
    image = Image.fromarray(np.ascontiguousarray(band)).resize(size, resampling, box=box)
    resized: Floats = np.clip(np.asarray(image), 0, 1)
    return resized

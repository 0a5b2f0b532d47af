"""A photo as a whole and its mask, as pictures in a page on which the mask is painted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..files.pictures import data_url
from .cropping import Box, cropped_pixels
from .decoding import decode
from .masks import mask_of
from .photo_folder import sorted_folder
from .raster import Band

LONGER_SIDE = 768
"""Pixels of the picture's longer side, at most."""


def whole_photo(photo: Path) -> dict[str, str | None]:
    """{"picture": the photo, upright, its transparent parts over white, "mask": that of the file beside it in grey, or
    None}, data URLs of one size. Raises PhotoError.
    """
    raster = decode(photo)
    height, width = raster.bands[0].shape
    scale = min(1, LONGER_SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    whole: Box = (0, 0, width, height)
    pixels = np.round(cropped_pixels(raster, size, whole) * 255).astype(np.uint8)
    mask = mask_of(sorted_folder(photo.parent), photo, raster)
    picture = data_url(Image.fromarray(np.moveaxis(pixels, 0, 2)), "JPEG")
    return {"picture": picture, "mask": None if mask is None else data_url(_grey(mask).resize(size), "PNG")}


def _grey(mask: Band) -> Image.Image:
    """A mask [H, W] in 0..1 as a picture."""
    return Image.fromarray(np.round(mask * 255).astype(np.uint8))

"""The masks of photos: painted on a page, a host's tensors, or in a file beside the photo."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .decoding import decode
from .photo_folder import PhotoFolder
from .raster import Band, PhotoError, Raster

if TYPE_CHECKING:
    # A host that trains in another process may have another torch, or none.
    from torch import Tensor

MOST_PIXELS = 16_000_000
"""Pixels of a painted mask, at most."""
_OTHER_SHAPE = 0.05
"""How far, as a share, the ratio of a painted mask's sides may be from its photo's: whole pixels of a small one."""


def given_masks(masks: Sequence[Tensor] | Tensor | None, count: int) -> list[Band | None] | None:
    """A host's masks, one for each of `count` photos; None without them."""
    if masks is None:
        return None
    from .host_images import weights

    return weights(masks, count)


def mask_of(
    folder: PhotoFolder, photo: Path, raster: Raster, given: Sequence[Band | None] | None = None
) -> Band | None:
    """The mask [H, W] in 0..1 of a photo of a folder: the painted one, else the host's, else the file's; None without.

    given: of a host, one for each photo of the folder. Raises PhotoError for one of another size.
    """
    if (painted := folder.painted.get(photo)) is not None:
        return painted_mask(painted, photo.name, raster)
    if given is not None:
        number = folder.photos.index(photo)
        return sized_mask(given[number], raster, number + 1)
    return mask_beside(folder.masks.get(photo), raster)


def sized_mask(mask: Band | None, raster: Raster, number: int) -> Band | None:
    """A host's mask. Raises PhotoError where it has another size than its photo."""
    from .host_images import require_size

    require_size(mask, raster, number)
    return mask


def mask_beside(path: Path | None, photo: Raster) -> Band | None:
    """The mask [H, W] in 0..1 in the file that stands beside a photo; None without one."""
    if path is None:
        return None
    raster, size = decode(path), photo.bands[0].shape
    height, width = raster.bands[0].shape
    if (height, width) != size:
        raise PhotoError(
            f"mask '{path}' is {width} x {height} pixels, its photo {size[1]} x {size[0]}: give them one size"
        )
    return raster.bands[1].astype(np.float32) / np.float32(raster.peak)


def painted_mask(png: bytes, name: str, photo: Raster) -> Band | None:
    """The mask [H, W] in 0..1 in a PNG of the photo's shape, scaled to the photo's size; None for an empty one.

    name: of the photo. Raises PhotoError for no PNG, and for one of another shape.
    """
    if not png:
        return None
    height, width = photo.bands[0].shape
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise PhotoError(f"the mask painted on '{name}' has {opened.width} x {opened.height} pixels: too many")
            grey = opened.convert("L")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise PhotoError(f"the mask painted on '{name}' is no PNG that can be read ({error}): paint it anew") from error
    if abs(grey.width * height / (grey.height * width) - 1) > _OTHER_SHAPE + 1 / grey.width + 1 / grey.height:
        raise PhotoError(
            f"the mask painted on '{name}' is {grey.width} x {grey.height}, and the photo {width} x {height}, of "
            "another shape: paint it anew, or remove it"
        )
    return np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR)).astype(np.float32) / np.float32(255)

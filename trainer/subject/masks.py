"""The masks of photos: in a file beside the photo, or a host's tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .decoding import decode
from .raster import Band, PhotoError, Raster

if TYPE_CHECKING:
    # A host that trains in another process may have another torch, or none.
    from torch import Tensor


def given_masks(masks: Sequence[Tensor] | Tensor | None, count: int) -> list[Band | None] | None:
    """A host's masks, one for each of `count` photos; None without them."""
    if masks is None:
        return None
    from .host_images import weights

    return weights(masks, count)


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

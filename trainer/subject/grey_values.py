"""The values of images whose pixels are one number of more than 8 bits, as TIFF and PNG have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .raster import Band, PhotoError

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
"""TIFF's tags: bits of a value; what 0 means; unsigned, signed or floating."""
_LARGEST = (281, 341)
"""The tags of the largest value in use."""
_WHITE_IS_ZERO = 0
_PEAKS = (255.0, 65535.0, 2.0**31 - 1, 2.0**32 - 1)


def grey_values(image: Image.Image, opened: Image.Image, path: Path) -> NDArray[np.float32]:
    """The values of an integer or float mode in 0..1, by the bits that the file says, or that they need."""
    grey = np.asarray(image)
    tags: Any = getattr(opened, "tag_v2", {}) if opened.format == "TIFF" else {}
    if image.mode == "I" and tags.get(_SAMPLE_FORMAT, (1,))[0] == 1:
        # Pillow reads unsigned numbers of 32 bits as signed ones.
        grey = grey.view(np.uint32)
    peak = _peak(image.mode, tags, grey)
    if not np.isfinite(grey).all() or grey.min() < 0 or grey.max() > peak:
        raise PhotoError(f"photo '{path}' holds {grey.dtype} values outside 0..{peak:g}: save it with 8 or 16 bits")
    values = (grey.astype(np.float64) / peak).astype(np.float32)
    return 1 - values if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else values


def _peak(mode: str, tags: Any, grey: Band) -> float:
    """The value of white: the largest that the file's bits can hold, or says, or of numbers of 32 bits the one of the
    fewest bits that they need, 8, 16, 31 or 32. 1 for floating point.
    """
    if mode == "F":
        return 1.0
    bits = int(tags.get(_BITS, (16,))[0])
    if bits <= 16:
        return float(2 ** (bits - (tags.get(_SAMPLE_FORMAT, (1,))[0] == 2)) - 1)
    largest = float(grey.max())
    said = next((tags[tag] for tag in _LARGEST if tag in tags), 0)
    said = said[0] if isinstance(said, tuple) else said
    return next((peak for peak in (float(said), *_PEAKS) if peak and largest <= peak), _PEAKS[-1])

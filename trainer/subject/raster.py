"""A decoded image, and the error of photos, masks and captions that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Band = NDArray[Any]
"""One channel of an image, [H, W]."""


class PhotoError(ValueError):
    """A photo, mask or caption that cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, eq=False)
class Raster:
    """A decoded image. bands: red, green and blue, each [H, W] in 0..peak. alpha: [H, W] in 0..peak; None: opaque."""

    bands: tuple[Band, Band, Band]
    alpha: Band | None
    peak: float

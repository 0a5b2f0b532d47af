"""Decoding of one image file into three colour bands and an alpha band, for any mode, EXIF orientation and format.

Pillow decodes. Its global settings are neither relied on (other extensions of a host change them) nor changed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Band = NDArray[Any]
"""One channel of an image, [H, W]."""

MAX_PIXELS = 120_000_000
"""The most pixels of an image that is decoded: more than 108-megapixel phone cameras have, and less than fills a
computer's memory.
"""

# Pillow also reads EPS, by running Ghostscript, and dozens of formats that no camera writes.
_FORMATS = (
    *("JPEG", "MPO", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "PPM", "TGA"),
    *("AVIF", "HEIF"),
)
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
"""The brands in a HEIC file's first box, by which it is recognised."""
_ALPHA_MODES = {"RGBA", "LA", "PA", "La", "RGBa"}


class PhotoError(ValueError):
    """A photo, mask or caption that cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, eq=False)
class Raster:
    """A decoded image. bands: red, green and blue, each [H, W] in 0..peak. alpha: [H, W] in 0..peak; None: opaque."""

    bands: tuple[Band, Band, Band]
    alpha: Band | None
    peak: float


class _PhotoFile(io.BufferedReader):
    """A file that records a read past its end: a sign of truncation that none of Pillow's global settings hides."""

    ran_out = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.ran_out |= not data and size != 0
        return data


def decode(path: Path) -> Raster:
    """The first frame of an image file, turned upright by its EXIF orientation. Raises PhotoError."""
    if not path.is_file():
        raise PhotoError(f"photo '{path}' is not there or is no file: check its path")
    try:
        with _PhotoFile(io.FileIO(path)) as file:
            image = _opened(file, path)
            _check_pixel_count(image.size, path)
            file.ran_out = False
            # Before any load, because Pillow 9.5 closes a TIFF of several frames once it is loaded.
            upright = ImageOps.exif_transpose(image)
            if file.ran_out:
                raise EOFError("the file ends in the middle of the picture")
            return _raster(upright, path)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error)) from error
    # Pillow's decoders raise exceptions of any kind on damaged data, struct.error included.
    except Exception as error:
        raise PhotoError(
            f"photo '{path}' cannot be decoded ({error}): it is damaged or truncated; copy "
            "it anew, or save it as PNG or JPEG"
        ) from error


def _opened(file: _PhotoFile, path: Path) -> Image.Image:
    """The image file opened by Pillow, not yet decoded. Raises PhotoError for a format that is not read."""
    Image.init()
    try:
        return Image.open(file, formats=[name for name in _FORMATS if name in Image.OPEN])
    except UnidentifiedImageError as error:
        file.seek(0)
        start = file.read(12)
        if start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS:
            return _opened_heic(file, path)
        raise PhotoError(
            f"'{path}' is no image, or none of a kind that is read here (JPEG, PNG, WebP, GIF, "
            "TIFF, BMP, AVIF, HEIC): save it as PNG or JPEG, or move it out of the folder"
        ) from error


def _opened_heic(file: _PhotoFile, path: Path) -> Image.Image:
    """The HEIC image, decoded by the optional package pillow_heif. Raises PhotoError where it is not installed."""
    try:
        import pillow_heif
    except ImportError as error:
        raise PhotoError(
            f"photo '{path}' is HEIC, which needs an optional package: pip install pillow-heif "
            "into this Python, or save the photo as JPEG or PNG"
        ) from error
    file.seek(0)
    heic = pillow_heif.open_heif(file)
    _check_pixel_count(heic.size, path)
    image: Image.Image = heic.to_pillow()
    return image


def _check_pixel_count(size: tuple[int, int], path: Path) -> None:
    """Raises PhotoError above MAX_PIXELS."""
    if size[0] * size[1] > MAX_PIXELS:
        raise _too_large(path, f"{size[0]} x {size[1]} pixels")


def _too_large(path: Path, what: str) -> PhotoError:
    """The PhotoError for an image with too many pixels. what: its size, for the message."""
    return PhotoError(
        f"photo '{path}' is too large ({what}; at most {MAX_PIXELS:,} pixels are decoded): "
        "scale it down, training needs far fewer"
    )


def _raster(image: Image.Image, path: Path) -> Raster:
    """The bands and alpha of a decoded image. Raises PhotoError for values of an integer or float mode that are out of
    range.
    """
    if image.mode[0] in "IF":
        grey = np.asarray(image)
        peak = 1.0 if image.mode == "F" else 65535.0
        if not np.isfinite(grey).all() or grey.min() < 0 or grey.max() > peak:
            raise PhotoError(f"photo '{path}' holds {grey.dtype} values outside 0..{peak:g}: save it with 8 or 16 bits")
        return Raster((grey, grey, grey), None, peak)
    alpha = None
    if _has_alpha(image):
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"))
    red, green, blue = (np.asarray(band) for band in image.convert("RGB").split())
    return Raster((red, green, blue), alpha, 255.0)


def _has_alpha(image: Image.Image) -> bool:
    """Whether an image has transparency: an alpha channel, a transparent colour, or a palette with alpha."""
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        return True
    return image.palette is not None and image.palette.mode.endswith("A")

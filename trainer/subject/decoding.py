"""Decoding of one image file into three bands in sRGB and an alpha band, for any mode, orientation and format.

Pillow decodes. Its global settings are neither relied on (other extensions of a host change them) nor changed.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .colour import CODED, grey_in_srgb, in_srgb, is_hdr
from .grey_values import grey_values
from .orientation import upright
from .png_chunks import SIGNATURE, coding_points, png_without_texts
from .raster import PhotoError, Raster
from .raw_files import START, TIFF, is_raw, seek_full_picture

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
            return _decoded(file, path)
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


def _decoded(file: _PhotoFile, path: Path) -> Raster:
    """The image in an open file. Of a PNG that cannot be read, its pixels are tried by themselves."""
    try:
        return _read(file, path)
    except (PhotoError, Image.DecompressionBombError):
        raise
    except Exception:
        file.seek(0)
        data = file.read()
        if not data.startswith(SIGNATURE):
            raise
        return _read(_PhotoFile(io.BytesIO(png_without_texts(data))), path)


def _read(file: _PhotoFile, path: Path) -> Raster:
    """The image in an open file. Raises whatever Pillow does on damaged data."""
    image = _opened(file, path)
    _check_pixel_count(image.size, path)
    file.ran_out = False
    turned = upright(image)
    if file.ran_out:
        raise EOFError("the file ends in the middle of the picture")
    return _raster(turned, image, path)


def _opened(file: _PhotoFile, path: Path) -> Image.Image:
    """The image file opened by Pillow, not yet decoded. Raises PhotoError for a format that is not read."""
    Image.init()
    start = file.read(START)
    file.seek(0)
    if is_raw(start, path):
        raise _raw(path)
    try:
        image = Image.open(file, formats=[name for name in _FORMATS if name in Image.OPEN])
    except UnidentifiedImageError as error:
        if start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS:
            return _opened_heic(file, path)
        if start[:4] in TIFF:
            raise _raw(path) from error
        if start.startswith(SIGNATURE):
            raise
        raise PhotoError(
            f"'{path}' is no image, or none of a kind that is read here (JPEG, PNG, WebP, GIF, "
            "TIFF, BMP, AVIF, HEIC): save it as PNG or JPEG, or leave it out"
        ) from error
    if image.format == "TIFF" and not seek_full_picture(image):
        raise _raw(path)
    if image.format == "PNG":
        place = file.tell()
        file.seek(0)
        image.info[CODED] = coding_points(file.read())
        file.seek(place)
    return image


def _raw(path: Path) -> PhotoError:
    """The PhotoError for a file of which only a preview could be read."""
    return PhotoError(
        f"photo '{path}' is a camera's RAW file, holds only previews or is a TIFF of a rare kind, and is not read: "
        "develop it to JPEG, PNG or TIFF (by the camera's own program, Lightroom, darktable or RawTherapee)"
    )


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
    # Beside a profile, these numbers are for the codec alone.
    if not image.info.get("icc_profile") and (coded := heic.info.get("nclx_profile")):
        image.info[CODED] = coded["color_primaries"], coded["transfer_characteristics"]
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


def _raster(image: Image.Image, opened: Image.Image, path: Path) -> Raster:
    """The bands in sRGB and the alpha of a decoded image. opened: the image as it was opened, with its format and tags.

    Raises PhotoError for values of an integer or float mode that are out of range.
    """
    if image.mode[0] in "IF":
        grey = grey_in_srgb(grey_values(image, opened, path), image, f"photo '{path}'")
        return Raster((grey, grey, grey), None, 1.0)
    alpha = None
    if _has_alpha(image):
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    if is_hdr(image):
        raise PhotoError(f"photo '{path}' is in HDR (PQ or HLG), which is not read: save it as an ordinary JPEG or PNG")
    red, green, blue = (np.asarray(band) for band in in_srgb(image, f"photo '{path}'").split())
    return Raster((red, green, blue), alpha, 255.0)


def _has_alpha(image: Image.Image) -> bool:
    """Whether an image has transparency: an alpha channel, a transparent colour, or a palette with alpha."""
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        return True
    return image.palette is not None and image.palette.mode.endswith("A")

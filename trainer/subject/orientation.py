"""Turning a decoded image upright, by the orientation that its file says."""

from __future__ import annotations

from typing import Literal

from PIL import Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""{orientation: what turns the picture upright}."""
_ORIENTATION = 274
"""The tag of TIFF and Exif that says how to turn the picture."""


def upright(image: Image.Image) -> Image.Image:
    """The decoded image, turned by its orientation tag alone: nothing else of Exif has to be whole."""
    image.load()
    # Pillow turns a TIFF itself when it is loaded.
    turn = None if image.format == "TIFF" else _TURNS.get(_orientation(image))
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = image.info
    return turned


def _orientation(image: Image.Image) -> int:
    """The value of the orientation tag, 1 to 8; 1 where there is none, or another."""
    try:
        value = image.getexif().get(_ORIENTATION)
    # Exif is a by-product: its damage is none of the picture's.
    except Exception:
        value = None
    if value is None:
        # Pillow passes over all that follows a damaged tag.
        value = _exif_orientation(image.info.get("exif") or b"")
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, int | float) and value in _TURNS else 1


def _exif_orientation(exif: bytes) -> int:
    """The orientation tag in IFD0 of Exif data; 1, upright, where there is none."""
    data = exif.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    place = int.from_bytes(data[4:8], order)
    for index in range(int.from_bytes(data[place : place + 2], order)):
        entry = data[place + 2 + 12 * index :][:12]
        if int.from_bytes(entry[:2], order) == _ORIENTATION:
            return int.from_bytes(entry[8:10], order)
    return 1

"""Whether an image file holds several pictures: an animation, or the pages of a scan."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

_SUFFIXES = frozenset({".gif", ".webp", ".png", ".apng", ".tif", ".tiff"})
"""The ends of files of several pictures. A JPEG's further pictures (MPO) are gain maps, depths and previews."""


def holds_several_pictures(path: Path) -> bool:
    """Whether a file is an animation or has several pages; False for a file that cannot be opened, which `decode`
    refuses by name.
    """
    if path.suffix.casefold() not in _SUFFIXES:
        return False
    try:
        with Image.open(path) as image:
            return bool(getattr(image, "is_animated", False)) and not _is_preview(image)
    # Pillow's readers raise exceptions of any kind on damaged data.
    except Exception:
        return False


def _is_preview(image: Image.Image) -> bool:
    """Whether every page of a TIFF but one is marked as a reduced picture (NewSubfileType, bit 0)."""
    if image.format != "TIFF":
        return False
    whole = 0
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        whole += not int(image.tag_v2.get(254, 0)) & 1  # type: ignore[attr-defined]
    return whole < 2

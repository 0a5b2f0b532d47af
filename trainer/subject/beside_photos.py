"""Writing a photo's edited caption and mask beside it, where a user asks for it: `a.txt`, `a-masklabel.png`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..files.atomic import write_atomically
from .captions import CAPTIONS, folded
from .decoding import decode
from .file_kinds import MASK, PHOTO_SUFFIXES, is_photo
from .masks import painted_mask
from .photo_edits import PhotoEdits
from .photo_folder import caption_of
from .raster import Band, PhotoError
from .removed_photos import move_aside, own_files, photo_named


def write_beside(root: Path, edits: PhotoEdits) -> list[Path]:
    """Write the edits' captions and masks beside the photos of a folder, or of the folders in it; returns what was
    written. A caption or mask that was removed is moved into the subfolder `removed`, as is a caption's file that would
    be read instead of the written one.

    Raises PhotoError before anything is written: for a photo that is not there, for one that shares its name up to the
    end with another, and for a mask of another shape.
    """
    texts = {photo_named(root, name): text for name, text in edits.captions.items()}
    masks = {photo_named(root, name): png for name, png in edits.masks.items()}
    for photo in {*texts, *masks}:
        _require_own_name(photo)
    weights = {photo: painted_mask(png, photo.name, decode(photo)) for photo, png in masks.items()}
    written = [_write_caption(photo, text) for photo, text in texts.items()]
    written += [_write_mask(photo, weight) for photo, weight in weights.items()]
    return [path for path in written if path is not None]


def _require_own_name(photo: Path) -> None:
    """Raises PhotoError where another photo has the same name up to its end: one file would belong to both."""
    twins = [
        path.name
        for path in photo.parent.iterdir()
        if path != photo and path.is_file() and folded(path.stem) == folded(photo.stem) and is_photo(path)
    ]
    if twins:
        raise PhotoError(
            f"'{photo.name}' and '{twins[0]}' have one name, so a file beside them would be of both: rename one of them"
        )


def _write_caption(photo: Path, text: str) -> Path | None:
    """Write `photo.txt`. For an empty text there is none afterwards, or an empty one where a table has a caption."""
    path = photo.with_name(f"{photo.stem}.txt")
    _move_aside(photo, CAPTIONS, path if text else None)
    if not text and caption_of(photo) is None:
        return None
    return write_atomically(path, lambda part: part.write_text(f"{text}\n", encoding="utf-8"))


def _write_mask(photo: Path, mask: Band | None) -> Path | None:
    """Write the mask [H, W] in 0..1 as `photo-masklabel.png`; None: there is none afterwards."""
    path = photo.with_name(f"{photo.stem}{MASK}.png")
    _move_aside(photo, tuple(PHOTO_SUFFIXES), None if mask is None else path)
    if mask is None:
        return None
    grey = Image.fromarray(np.round(mask * 255).astype(np.uint8))
    return write_atomically(path, lambda part: grey.save(part, "PNG"))


def _move_aside(photo: Path, suffixes: tuple[str, ...], written: Path | None) -> None:
    """Move the photo's own files with these ends into the subfolder `removed`, but the one that will be written."""
    for file in own_files(photo):
        if file.suffix.casefold() in suffixes and file != written:
            move_aside(file)

"""Removing a photo from its folder, by moving it into a subfolder where no photo is read from."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from .captions import require_inside
from .file_kinds import is_photo
from .photo_folder import caption_files
from .raster import PhotoError

REMOVED = "removed"
"""The name of the subfolder."""


def put_aside(folder: Path, name: str) -> Path:
    """Move the photo `name` of a folder, or of a subject's folder in it ("10_sks dog/a.jpg"), and the captions beside
    it, into the subfolder `removed`, under a name that is free there; returns its new path.

    Raises PhotoError for a name that is no photo of the folder.
    """
    *within, file = name.split("/")
    inside = [entry for entry in folder.iterdir() if [entry.name] == within and entry.is_dir()] if within else [folder]
    photo = next((entry for one in inside for entry in one.iterdir() if entry.name == file and entry.is_file()), None)
    if photo is None or not is_photo(photo):
        raise PhotoError(f"there is no photo {name[:100]!r} in '{folder.name}' (any more)")
    require_inside(photo.parent, folder)
    folder = photo.parent
    aside = folder / REMOVED
    aside.mkdir(exist_ok=True)
    stems = (f"{photo.stem}{count}" for count in chain([""], (f" ({number})" for number in range(2, 10_000))))
    stem = next(stem for stem in stems if not (aside / f"{stem}{photo.suffix}").exists())
    own = [file for file in caption_files(photo) if file.suffix.casefold() in (".txt", ".caption")]
    for caption in own:
        caption.replace(aside / f"{stem}{caption.name[len(photo.stem) :]}")
    return photo.replace(aside / f"{stem}{photo.suffix}")

"""Removing a photo from its folder, by moving it into a subfolder where no photo is read from."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from .captions import CAPTIONS, require_inside
from .file_kinds import is_photo, masks_of
from .photo_folder import caption_files
from .raster import PhotoError

REMOVED = "removed"
"""The name of the subfolder."""


def photo_named(folder: Path, name: str) -> Path:
    """The photo `name` of a folder, or of a subject's folder in it ("10_sks dog/a.jpg"). Raises PhotoError for a name
    that is none of its photos'.
    """
    *within, file = name.split("/")
    inside = [entry for entry in folder.iterdir() if [entry.name] == within and entry.is_dir()] if within else [folder]
    photo = next((entry for one in inside for entry in one.iterdir() if entry.name == file and entry.is_file()), None)
    if photo is None or not is_photo(photo):
        raise PhotoError(f"there is no photo {name[:100]!r} in '{folder.name}' (any more)")
    require_inside(photo.parent, folder)
    return photo


def put_aside(folder: Path, name: str) -> Path:
    """Move the photo `name` of a folder (see `photo_named`), and the captions and the mask beside it, into the
    subfolder `removed`, under a name that is free there; returns its new path.

    Raises PhotoError for a name that is no photo of the folder.
    """
    photo = photo_named(folder, name)
    stem = _free_stem(photo)
    for file in own_files(photo):
        move_aside(file, f"{stem}{file.name[len(photo.stem) :]}")
    return move_aside(photo, f"{stem}{photo.suffix}")


def own_files(photo: Path) -> list[Path]:
    """The files of captions and the mask beside a photo that are of it alone, or of photos with one name."""
    captions = [file for file in caption_files(photo) if file.suffix.casefold() in CAPTIONS]
    files = [path for path in photo.parent.iterdir() if path.is_file() and is_photo(path)]
    return [*captions, *(path for path in files if masks_of([photo, path])[0].get(photo) == path)]


def move_aside(file: Path, name: str | None = None) -> Path:
    """Move a file into the subfolder `removed` of its folder; name: its new one, a free one where none is given."""
    aside = file.parent / REMOVED
    aside.mkdir(exist_ok=True)
    return file.replace(aside / (name or f"{_free_stem(file)}{file.suffix}"))


def _free_stem(file: Path) -> str:
    """A file's name without its end, numbered where the subfolder has a file of its name."""
    aside = file.parent / REMOVED
    stems = (file.stem if number == 1 else f"{file.stem} ({number})" for number in count(1))
    return next(stem for stem in stems if not (aside / f"{stem}{file.suffix}").exists())

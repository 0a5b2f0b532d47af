"""Folders of several subjects, named as kohya's trainers read them: `10_sks dog` is the dog sks, shown ten times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files.safetensors import listed
from .captions import folded, require_inside
from .file_kinds import is_photo
from .photo_folder import PhotoFolder, sorted_folder
from .raster import PhotoError
from .removed_photos import REMOVED

TRAIN = "train"
"""The folder of the photos in an image folder of Hugging Face with splits."""
_NAMED = re.compile(r"(\d+)_(\S.*)", re.DOTALL)


@dataclass(frozen=True)
class SubjectFolder:
    """One subject's photos and what its folder's name says. identifier: [V], or "" where the name has none.
    repeats: 1 or more.
    """

    folder: Path
    files: PhotoFolder
    class_noun: str
    identifier: str = ""
    repeats: int = 1


def subject_folders(folder: Path, class_noun: str) -> tuple[SubjectFolder, ...]:
    """The subject of a folder of photos, or the subjects of a folder of such folders, by name.

    class_noun: of those whose folder's name holds none. Of an image folder of Hugging Face with splits `train` is read.
    Raises PhotoError, see `sorted_folder`; also where a folder holds both photos and folders of subjects, and where a
    folder's name does not begin with its number of repeats.
    """
    inside = _folders_with_photos(folder)
    if split := [path for path in inside if path.name == TRAIN and not _holds_photos(folder)]:
        require_inside(split[0], folder)
        folder, inside = split[0], []
    if not inside or _holds_photos(folder):
        _require_no_subjects(folder, inside)
        return (SubjectFolder(folder, sorted_folder(folder), class_noun),)
    if strange := [path.name for path in inside if not _NAMED.fullmatch(path.name)]:
        raise PhotoError(
            f"'{folder}' holds folders of photos whose names do not begin with a number: {listed(strange)}; name each "
            "by how often its photos are shown, its identifier and its class, such as '10_sks dog', or move it away"
        )
    return tuple(_named(path, class_noun) for path in inside)


def _named(path: Path, class_noun: str) -> SubjectFolder:
    """One subject's folder. Raises PhotoError for one that is shown no times, and for a link that leads out."""
    require_inside(path, path.parent)
    named = _NAMED.fullmatch(path.name)
    assert named is not None
    repeats, words = int(named[1]), named[2].strip()
    if not repeats:
        raise PhotoError(
            f"folder '{path.name}' is to be shown 0 times: let its name begin with 1 or more, or move it away"
        )
    identifier, _, noun = words.partition(" ") if " " in words else words.partition("_")
    return SubjectFolder(path, sorted_folder(path), noun.replace("_", " ").strip() or class_noun, identifier, repeats)


def _folders_with_photos(folder: Path) -> list[Path]:
    """The folders inside a folder that hold photos, by name, without hidden ones and the one of removed photos."""
    if not folder.is_dir():
        return []
    inside = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(
        (path for path in inside if folded(path.name) != REMOVED and _holds_photos(path)), key=lambda p: p.name
    )


def _holds_photos(folder: Path) -> bool:
    """Whether a folder holds a file that is read as a photo."""
    return any(path.is_file() and not path.name.startswith(".") and is_photo(path) for path in folder.iterdir())


def _require_no_subjects(folder: Path, inside: Sequence[Path]) -> None:
    """Raises PhotoError where beside a folder's own photos there are folders of subjects."""
    if named := [path.name for path in inside if _NAMED.fullmatch(path.name)]:
        raise PhotoError(
            f"'{folder}' holds photos and folders of subjects as well: {listed(named)}; move the photos into a folder "
            "of their own, such as '10_sks dog', or the folders away"
        )

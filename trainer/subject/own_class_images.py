"""The user's own pictures of the class, for the prior term, from a folder: kohya calls them regularisation images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..files.safetensors import listed
from .buckets import Size, TrainingSize
from .photos import Photo, read_photos
from .raster import PhotoError
from .subject_folders import SubjectFolder, subject_folders


@dataclass(frozen=True, eq=False)
class OwnClassImages:
    """Pictures of one class, each at the size of the photos of this class that is nearest to its shape."""

    class_noun: str
    photos: tuple[Photo, ...]

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of class noun and pictures; names of files and their order do not change it."""
        whole = hashlib.sha256(self.class_noun.encode())
        for digest in sorted(photo.digest for photo in self.photos):
            whole.update(digest)
        return whole.hexdigest()


def own_class_images(folder: Path, sizes: Mapping[str, Mapping[Size, int]]) -> tuple[OwnClassImages, ...]:
    """The pictures in a folder; of several classes in a folder for each, such as `1_dog`, whose number is not used.

    Captions and masks beside them are not used: the prior term is of the class as it is. sizes: {class noun: {width and
    height: how many photos of its subjects have it}}. Raises PhotoError, also for a folder of no class, and for several
    classes in one folder.
    """
    folders = subject_folders(folder, next(iter(sizes)))
    if not folders[0].identifier and len(sizes) > 1:
        raise PhotoError(
            f"class images '{folder}' are in one folder, and the subjects are of several classes ({', '.join(sizes)}): "
            "put them into a folder for each, such as '1_dog'"
        )
    found: dict[str, list[Photo]] = {}
    for one in folders:
        noun = next(iter(sizes)) if not one.identifier else _noun_of(one, sizes)
        found.setdefault(noun, []).extend(_read(one, tuple(sizes[noun])))
    return tuple(OwnClassImages(noun, tuple(photos)) for noun, photos in found.items())


def _noun_of(one: SubjectFolder, nouns: Mapping[str, object]) -> str:
    """The class noun that a folder is named by, with or without an identifier. Raises PhotoError for another name."""
    words = one.folder.name.partition("_")[2].replace("_", " ").casefold()
    named = [noun for noun in nouns if noun.casefold() in (words, words.partition(" ")[2])]
    if not named:
        raise PhotoError(
            f"class images '{one.folder.name}' are of no subject's class, and these are {listed(nouns)}: name the "
            "folder '1_' and one of them, or move it away"
        )
    return named[0]


def _read(one: SubjectFolder, sizes: Sequence[Size]) -> list[Photo]:
    """The pictures of one folder without captions and masks, in these sizes."""
    read = read_photos(one.files, TrainingSize(*sizes[0], only=tuple(sizes)))
    return [Photo(photo.name, photo.pixels, None, None, photo.frame) for photo in read]

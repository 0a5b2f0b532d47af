"""The subject: its instance photos and its class noun."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from ..prompts import checked_class_noun
from .photos import Photo, check_size


@dataclass(frozen=True, eq=False)
class Subject:
    """A few photos of one subject and its class noun ("dog", "backpack").

    width, height: the size of every photo in pixels. Raises ValueError for no photo, photos of another size, or a class
    noun that is empty, above 100 characters, or not one line.
    """

    photos: tuple[Photo, ...]
    class_noun: str
    width: int
    height: int

    def __post_init__(self) -> None:
        check_size(self.width, self.height)
        object.__setattr__(self, "class_noun", checked_class_noun(self.class_noun))
        if not self.photos:
            raise ValueError("the subject has no photo: give 3 to 5")
        for photo in self.photos:
            if photo.pixels.shape != (3, self.height, self.width):
                raise ValueError(
                    f"photo '{photo.name}' has the shape {list(photo.pixels.shape)}, the subject "
                    f"[3, {self.height}, {self.width}]: read all photos at one size"
                )

    @cached_property
    def in_training_order(self) -> tuple[Photo, ...]:
        """The photos sorted by digest, so that renaming files does not change the order."""
        return tuple(sorted(self.photos, key=lambda photo: photo.digest))

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of pixels, masks, captions, crops, class noun and size; names and order do not
        change it.
        """
        whole = hashlib.sha256(repr((self.class_noun, self.width, self.height)).encode())
        for photo in self.in_training_order:
            whole.update(photo.digest)
        return whole.hexdigest()

"""The subject: its instance photos and its class noun; or several subjects, which are learned together."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..prompts import checked_class_noun
from .buckets import Size, TrainingSize
from .photos import Photo
from .subject_folders import SubjectFolder


@dataclass(frozen=True, eq=False)
class Subject:
    """A few photos of one subject and its class noun ("dog", "backpack").

    width, height: the size of every photo in pixels, or with `buckets` the size whose buckets theirs are. identifier:
    [V], where the photos' folder names it; else "". repeats: how often each photo is shown while another subject's with
    1 is shown once. close_ups: of the photos, at the same sizes and shown as often. others: further subjects, learned
    in the same run. redrawn: the photos with other surroundings, which are trained on in their place. Raises ValueError
    for no photo, photos of another size, or a class noun that is empty, above 100 characters, or not one line.
    """

    photos: tuple[Photo, ...]
    class_noun: str
    width: int
    height: int
    buckets: bool = False
    identifier: str = ""
    repeats: int = 1
    close_ups: tuple[Photo, ...] = ()
    others: tuple[Subject, ...] = ()
    redrawn: tuple[Photo, ...] = ()

    @classmethod
    def joined(cls, subjects: Sequence[Subject]) -> Subject:
        """Subjects of one size as one that is all of them; at least one. Only the ratios of their repeats count.

        Raises ValueError for one without an identifier among several, and for two with the same trigger.
        """
        if len(subjects) > 1:
            _require_own_triggers(subjects)
        shared = math.gcd(*(one.repeats for one in subjects))
        first, *others = (replace(one, repeats=one.repeats // shared) for one in subjects)
        return replace(first, others=tuple(others))

    @classmethod
    def of_folders(
        cls,
        folders: Sequence[SubjectFolder],
        photos: Sequence[tuple[Photo, ...]],
        size: TrainingSize,
        close_ups: Sequence[tuple[Photo, ...]] = (),
    ) -> Subject:
        """The subjects of folders whose photos, and close-ups of them, were read at this size. Raises ValueError; see
        `joined`.
        """
        read = zip(folders, photos, close_ups or [()] * len(folders), strict=True)
        shape = size.width, size.height, size.buckets
        return cls.joined(
            [cls(own, one.class_noun, *shape, one.identifier, one.repeats, close) for one, own, close in read]
        )

    @property
    def each(self) -> tuple[Subject, ...]:
        """The subjects one by one, this one first."""
        return (replace(self, others=()), *self.others)

    @property
    def all_photos(self) -> tuple[Photo, ...]:
        """The photos of all subjects."""
        return tuple(photo for one in (self, *self.others) for photo in one.photos)

    def __post_init__(self) -> None:
        allowed = TrainingSize(self.width, self.height, self.buckets).sizes
        object.__setattr__(self, "class_noun", checked_class_noun(self.class_noun))
        if not self.photos:
            raise ValueError("the subject has no photo: give 3 to 5")
        for photo in (*self.photos, *self.close_ups, *self.redrawn):
            if photo.size not in allowed:
                raise ValueError(
                    f"photo '{photo.name}' has the shape {list(photo.pixels.shape)}, the subject "
                    f"[3, {self.height}, {self.width}]: read all photos at one size, or all into its buckets"
                )

    @cached_property
    def sizes(self) -> dict[Size, int]:
        """{width and height: how many photos of all subjects have this size}, the most frequent first."""
        return _counted(self.all_photos)

    @cached_property
    def sizes_by_class(self) -> dict[str, dict[Size, int]]:
        """{class noun: the `sizes` of the photos of its subjects}."""
        photos: dict[str, list[Photo]] = {}
        for one in (self, *self.others):
            photos.setdefault(one.class_noun, []).extend(one.photos)
        return {noun: _counted(own) for noun, own in photos.items()}

    @property
    def largest_size(self) -> Size:
        """The size of the photos with the most pixels, by which the memory of a training is counted."""
        return max(self.sizes, key=lambda size: (size[0] * size[1], size))

    @cached_property
    def in_training_order(self) -> tuple[Photo, ...]:
        """The photos, or those with other surroundings in their place, and the close-ups, sorted by digest, so that
        renaming files does not change the order; those of one subject after the other's.
        """
        shown = [(*(one.redrawn or one.photos), *one.close_ups) for one in (self, *self.others)]
        return tuple(photo for own in shown for photo in _by_digest(own))

    def without(self, photo: Photo) -> Subject:
        """This subject alone without one of its photos, and without what was made of that: its close-ups, and itself
        with other surroundings.
        """
        made = f"{photo.name} ("
        photos, close_ups, redrawn = (
            tuple(one for one in own if one is not photo and not one.name.startswith(made))
            for own in (self.photos, self.close_ups, self.redrawn)
        )
        return replace(self, photos=photos, close_ups=close_ups, redrawn=redrawn)

    def at_one_size(self) -> Tensor:
        """The photos [N, 3, height, width] in 0..1, in training order. One that is trained at another size of the
        buckets is scaled to cover this one, and its centre is cut out.
        """
        return torch.stack([_covering(photo.pixels, self.width, self.height) for photo in _by_digest(self.all_photos)])

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of pixels, masks, captions, crops, class noun and size, of the photos with other
        surroundings, and of the other subjects; names of files and their order do not change it.
        """
        whole = hashlib.sha256(repr((self.class_noun, self.width, self.height)).encode())
        for photo in _by_digest((*self.photos, *self.close_ups)):
            whole.update(photo.digest)
        for photo in _by_digest(self.redrawn):
            whole.update(b"redrawn" + photo.digest)
        for one in self.each if self.others else ():
            whole.update(repr((one.identifier, one.repeats, one.fingerprint)).encode())
        return whole.hexdigest()


def _by_digest(photos: Sequence[Photo]) -> list[Photo]:
    """Photos sorted by digest."""
    return sorted(photos, key=lambda photo: photo.digest)


def _require_own_triggers(subjects: Sequence[Subject]) -> None:
    """Raises ValueError unless every one of several subjects has an identifier, and a trigger of its own."""
    seen: set[str] = set()
    for one in subjects:
        if not one.identifier:
            raise ValueError(f"one of {len(subjects)} subjects has no identifier, a {one.class_noun}: name it")
        trigger = f"{one.identifier} {one.class_noun}"
        if trigger.casefold() in seen:
            raise ValueError(
                f"two subjects have the trigger {trigger!r}: give one another identifier, or put their photos together"
            )
        seen.add(trigger.casefold())


def _counted(photos: Sequence[Photo]) -> dict[Size, int]:
    """{width and height: how many photos have this size}, the most frequent first."""
    counted = Counter(photo.size for photo in photos)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _covering(pixels: Tensor, width: int, height: int) -> Tensor:
    """The centre of an image [3, H, W], scaled to cover width x height; unchanged at that size."""
    if pixels.shape[1:] == (height, width):
        return pixels
    scale = max(height / pixels.shape[1], width / pixels.shape[2])
    scaled = [max(wanted, round(side * scale)) for wanted, side in zip((height, width), pixels.shape[1:], strict=True)]
    resized = F.interpolate(pixels.unsqueeze(0), scaled, mode="bicubic", antialias=True)[0].clamp(0, 1)
    top, left = (scaled[0] - height) // 2, (scaled[1] - width) // 2
    return resized[:, top : top + height, left : left + width]

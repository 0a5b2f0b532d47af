"""The subject: its instance photos and its class noun."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..prompts import checked_class_noun
from .buckets import Size, TrainingSize
from .photos import Photo


@dataclass(frozen=True, eq=False)
class Subject:
    """A few photos of one subject and its class noun ("dog", "backpack").

    width, height: the size of every photo in pixels, or with `buckets` the size whose buckets theirs are. Raises
    ValueError for no photo, photos of another size, or a class noun that is empty, above 100 characters, or not one
    line.
    """

    photos: tuple[Photo, ...]
    class_noun: str
    width: int
    height: int
    buckets: bool = False

    def __post_init__(self) -> None:
        allowed = TrainingSize(self.width, self.height, self.buckets).sizes
        object.__setattr__(self, "class_noun", checked_class_noun(self.class_noun))
        if not self.photos:
            raise ValueError("the subject has no photo: give 3 to 5")
        for photo in self.photos:
            if _size(photo) not in allowed:
                raise ValueError(
                    f"photo '{photo.name}' has the shape {list(photo.pixels.shape)}, the subject "
                    f"[3, {self.height}, {self.width}]: read all photos at one size, or all into its buckets"
                )

    @cached_property
    def sizes(self) -> dict[Size, int]:
        """{width and height: how many photos have this size}, the most frequent first."""
        counted = Counter(_size(photo) for photo in self.photos)
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))

    @property
    def largest_size(self) -> Size:
        """The size of the photos with the most pixels, by which the memory of a training is counted."""
        return max(self.sizes, key=lambda size: (size[0] * size[1], size))

    @cached_property
    def in_training_order(self) -> tuple[Photo, ...]:
        """The photos sorted by digest, so that renaming files does not change the order."""
        return tuple(sorted(self.photos, key=lambda photo: photo.digest))

    def at_one_size(self) -> Tensor:
        """The photos [N, 3, height, width] in 0..1, in training order. One that is trained at another size of the
        buckets is scaled to cover this one, and its centre is cut out.
        """
        return torch.stack([_covering(photo.pixels, self.width, self.height) for photo in self.in_training_order])

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of pixels, masks, captions, crops, class noun and size; names and order do not
        change it.
        """
        whole = hashlib.sha256(repr((self.class_noun, self.width, self.height)).encode())
        for photo in self.in_training_order:
            whole.update(photo.digest)
        return whole.hexdigest()


def _size(photo: Photo) -> Size:
    """A photo's width and height in pixels."""
    return photo.pixels.shape[2], photo.pixels.shape[1]


def _covering(pixels: Tensor, width: int, height: int) -> Tensor:
    """The centre of an image [3, H, W], scaled to cover width x height; unchanged at that size."""
    if pixels.shape[1:] == (height, width):
        return pixels
    scale = max(height / pixels.shape[1], width / pixels.shape[2])
    scaled = [max(wanted, round(side * scale)) for wanted, side in zip((height, width), pixels.shape[1:], strict=True)]
    resized = F.interpolate(pixels.unsqueeze(0), scaled, mode="bicubic", antialias=True)[0].clamp(0, 1)
    top, left = (scaled[0] - height) // 2, (scaled[1] - width) // 2
    return resized[:, top : top + height, left : left + width]

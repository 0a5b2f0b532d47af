"""The crop that an image was made by, which SDXL is conditioned on (Podell et al., 2023, section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

Pixels = tuple[int, int]
"""Height and width, or top and left."""


@dataclass(frozen=True)
class Frame:
    """The geometry of a crop. original: the image's size before any resizing. top_left: the crop's corner, in pixels of
    the resized image. size: of the crop. Each pair is (vertical, horizontal).
    """

    original: Pixels
    top_left: Pixels
    size: Pixels

    @classmethod
    def whole(cls, width: int, height: int) -> Frame:
        """The frame of an image that was neither resized nor cropped."""
        return cls((height, width), (0, 0), (height, width))

    @property
    def numbers(self) -> tuple[int, ...]:
        """The six numbers in the order of SDXL's time_ids: original size, top left corner, crop size."""
        return (*self.original, *self.top_left, *self.size)

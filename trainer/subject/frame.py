"""How an image was cut out of its original: SDXL is told it (Podell et al., 2023, section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

Pixels = tuple[int, int]
"""Height and width, or top and left."""


@dataclass(frozen=True)
class Frame:
    """original: size before anything was done. top_left: where the crop begins, in pixels of the resized image.

    size: of the crop.
    """

    original: Pixels
    top_left: Pixels
    size: Pixels

    @classmethod
    def whole(cls, width: int, height: int) -> Frame:
        """An image that was never resized nor cropped."""
        return cls((height, width), (0, 0), (height, width))

    @property
    def numbers(self) -> tuple[int, ...]:
        """The six numbers in SDXL's order."""
        return (*self.original, *self.top_left, *self.size)

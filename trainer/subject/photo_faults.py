"""Faults of training photos: too small, blurred, near-duplicate, all on the same background.

They are advice and never stop a training, but for photos that nothing can be learned from (`cannot_teach`). The
thresholds were set on this package's 12 subjects and on nine of the paper's dataset, at 512 pixels; the measured values
stand beside each threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..wording import Wording
from .buckets import TrainingSize
from .photos import Photo
from .sharpness import Grey, blur, smoothed

FaultName = Literal["too small", "blurred", "near-duplicate", "same background"]
OF_BACKGROUND: FaultName = "same background"
"""The fault of photos that show one place."""

BLURRED = 0.45
"""Blur above which a photo is reported. Sharp photos measured 0.20 to 0.36, the same blurred by 2 to 3 pixels 0.46 to
0.77.
"""
NEAR_DUPLICATE_CORRELATION = 0.8
"""Correlation of fine structure from which two photos are near-duplicates. Different photos of a subject measured 0.17
to 0.77, two crops of one photo 0.66 to 0.91.
"""
SAME_BACKGROUND = 0.06
"""Mean absolute difference of the borders, in 0..1, below which backgrounds are the same. Photos of the paper's
subjects in different places measured 0.11 to 0.69.
"""

FEWEST = 32
"""Pixels of the crop's shorter side, in the photo's own pixels, from which something can be learned."""
ONE_COLOUR = 2 / 255
"""The largest difference of an image's values that is none."""
_SIDE = 32
"""Pixels per side of the small images that near-duplicates are compared in."""
_SHIFT = 2
"""The largest shift in that comparison, in pixels of the small images."""
_BORDER_SIDE = 16
"""Pixels per side of the small images that backgrounds are compared in."""
_BORDER = 3
"""The width of the border in them that counts as background."""


@dataclass(frozen=True)
class Fault:
    """One fault of a photo. why: a sentence for the user with its consequence and what to do."""

    name: FaultName
    why: Wording


def faults(photos: Sequence[Photo], size: TrainingSize | None = None) -> list[tuple[Fault, ...]]:
    """The faults of each photo, in the photos' order.

    size: the training resolution, None for the photos' own. Photos of 512 pixels are enough to find the other faults.
    """
    found: list[list[Fault]] = [_too_small(photo, size) or _blurred(photo) for photo in photos]
    for index, twin in _twins(photos):
        why = Wording(
            "Nearly the same picture as {0}: it counts twice and shows nothing new. Leave one of them out.", twin
        )
        found[index].append(Fault("near-duplicate", why))
    if _one_background(photos):
        why = Wording(
            "All photos have this background, so it is learned as part of the subject. Add photos from other places."
        )
        for own in found:
            own.append(Fault(OF_BACKGROUND, why))
    return [tuple(own) for own in found]


def cannot_teach(photo: Photo) -> str | None:
    """Why nothing can be learned from a photo, a sentence for the user with what to do; None where something can."""
    (height, width), (crop_height, crop_width) = photo.crop_frame.original, photo.crop_frame.size
    scale = min(width / crop_width, height / crop_height)
    left = round(crop_width * scale), round(crop_height * scale)
    if min(left) < FEWEST:
        return (
            f"{width} x {height} pixels, of which the crop leaves {left[0]} x {left[1]}: nothing can be learned from "
            "so few. Take a larger photo, or leave it out."
        )
    lowest, highest = photo.pixels.amin((1, 2)), photo.pixels.amax((1, 2))
    if float((highest - lowest).max()) <= ONE_COLOUR:
        return "It is of one colour all over, so there is no subject in it. Leave it out."
    return None


def _too_small(photo: Photo, training: TrainingSize | None) -> list[Fault]:
    """The fault of a photo that cropping has to enlarge: the model would learn the softness of the enlargement."""
    frame = photo.crop_frame
    height, width = frame.original
    asked_height, asked_width = frame.size if training is None else training.nearest(width, height)[::-1]
    if height >= asked_height and width >= asked_width:
        return []
    shown, asked = f"{width} x {height}", f"{asked_width} x {asked_height}"
    why = Wording("{0} pixels, enlarged to {1}: details are guessed. Take a larger photo.", shown, asked)
    return [Fault("too small", why)]


def _blurred(photo: Photo) -> list[Fault]:
    """The fault of a photo whose blur is above BLURRED."""
    measured = blur(_grey(photo))
    if measured <= BLURRED:
        return []
    why = Wording(
        "Blurred even where it shows the most detail ({0}, sharp photos stay below {1}). Take it again, or leave it "
        "out.",
        f"{measured:.2f}",
        str(BLURRED),
    )
    return [Fault("blurred", why)]


def _twins(photos: Sequence[Photo]) -> list[tuple[int, str]]:
    """(index, name of the earlier photo that it repeats), for every near-duplicate of an earlier photo."""
    structures = [_structure(photo) for photo in photos]
    found = []
    for index, own in enumerate(structures):
        likeness = [(_likeness(own, other), -earlier) for earlier, other in enumerate(structures[:index])]
        best, earlier = max(likeness, default=(0.0, 0))
        if best >= NEAR_DUPLICATE_CORRELATION:
            found.append((index, photos[-earlier].name))
    return found


def _one_background(photos: Sequence[Photo]) -> bool:
    """Whether all photos, two or more, have the same background."""
    borders = [_border(photo) for photo in photos]
    return len(borders) > 1 and all(
        np.abs(one - other).mean() < SAME_BACKGROUND for i, one in enumerate(borders) for other in borders[:i]
    )


def _grey(photo: Photo) -> Grey:
    """The photo's luma (ITU-R BT.601 weights)."""
    red, green, blue = photo.pixels.numpy()
    grey: Grey = (0.299 * red + 0.587 * green + 0.114 * blue).astype(np.float32)
    return grey


def _structure(photo: Photo) -> Grey:
    """The photo's fine structure [32, 32], a high-pass image: a shared background or light counts little."""
    small = _small(_grey(photo), _SIDE)
    return small - smoothed(smoothed(small, 0, 7), 1, 7)


def _likeness(one: Grey, other: Grey) -> float:
    """The highest correlation over shifts of up to 2 of 32 pixels, -1..1; 0 for an image without structure."""
    inner = one[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    steps = range(2 * _SHIFT + 1)
    height, width = inner.shape
    shifted = (other[top : top + height, left : left + width] for top in steps for left in steps)
    return max(_correlation(inner, part) for part in shifted)


def _correlation(one: Grey, other: Grey) -> float:
    """The Pearson correlation of two images, -1..1; 0 where one of them is constant."""
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / scale if scale else 0.0


def _border(photo: Photo) -> NDArray[np.float32]:
    """The pixels of the border [3, N] in 0..1: the outer three of 16 rows and columns of the photo reduced
    to 16 x 16.
    """
    bands = [_small(band, _BORDER_SIDE) for band in photo.pixels.numpy()]
    inside = slice(_BORDER, _BORDER_SIDE - _BORDER)
    outer = np.ones((_BORDER_SIDE, _BORDER_SIDE), bool)
    outer[inside, inside] = False
    return np.stack([band[outer] for band in bands])


def _small(band: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A band [H, W] reduced to side x side by box averaging."""
    return np.asarray(Image.fromarray(band).resize((side, side), Image.Resampling.BOX))

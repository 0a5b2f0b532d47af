"""Close-ups of large photos: half of the crop's side at the full training resolution, as hires-fix and tile upscaling
show the subject to the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .buckets import TrainingSize
from .cropping import Box, centre_box
from .decoding import decode
from .frame import Frame
from .masks import given_masks, mask_of, sized_mask
from .photo_folder import PhotoFolder
from .photos import Photo, photo_of
from .raster import Band, Raster

if TYPE_CHECKING:
    from torch import Tensor

ZOOM = 2
"""How many times smaller than the photo's crop the part of it is that a close-up shows, in each direction."""
MOST = 4
"""The most close-ups of a photo."""
WORD = "close-up"
"""What a close-up's caption says, so that the model does not take it for the whole subject."""


def close_ups_of_folder(
    folder: PhotoFolder, size: TrainingSize, count: int, masks: Sequence[Tensor] | Tensor | None = None
) -> tuple[Photo, ...]:
    """`count` close-ups of each used photo of a sorted folder that is large enough. masks: see `read_folder`.

    Raises PhotoError, ValueError.
    """
    check_count(count)
    given = given_masks(masks, len(folder.photos))
    found: list[Photo] = []
    for path in folder.used if count else ():
        raster = decode(path)
        mask = mask_of(folder, path, raster, given)
        found += _close_ups(raster, mask, path.name, folder.captions.get(path), size, count)
    return tuple(found)


def close_ups_of_tensors(
    images: Sequence[Tensor] | Tensor,
    masks: Sequence[Tensor] | Tensor | None,
    size: TrainingSize,
    count: int,
    captions: Sequence[str] | None = None,
) -> tuple[Photo, ...]:
    """The same of a host's images; see `photos_from_tensors`."""
    from .host_images import rasters, texts, weights

    check_count(count)
    found = rasters(images) if count else []
    if not found:
        return ()
    own = zip(found, weights(masks, len(found)), texts(captions, len(found)), strict=True)
    return tuple(
        photo
        for number, (raster, mask, caption) in enumerate(own, start=1)
        for photo in _close_ups(raster, sized_mask(mask, raster, number), f"image {number}", caption, size, count)
    )


def check_count(count: int) -> None:
    """Raises ValueError for a number of close-ups out of range."""
    if not 0 <= count <= MOST:
        raise ValueError(f"close_ups is {count}; it must be 0 to {MOST}.")


def _close_ups(
    raster: Raster, mask: Band | None, name: str, caption: str | None, training: TrainingSize, count: int
) -> Iterator[Photo]:
    """The close-ups of one photo; none where a part of it would have to be enlarged. They lie where the mask or the
    transparency shows the subject, else about the middle of the crop.
    """
    height, width = raster.bands[0].shape
    size = training.nearest(width, height)
    left, top, right, bottom = centre_box((height, width), size)
    if (right - left) < ZOOM * size[0] or (bottom - top) < ZOOM * size[1]:
        return
    weight = _weight(raster, mask)
    seed = hashlib.sha256(
        repr((raster.bands[0].shape, size)).encode() + np.ascontiguousarray(raster.bands[0]).tobytes()
    )
    draws = np.random.default_rng(int.from_bytes(seed.digest()[:8], "little"))
    half = (right - left) / ZOOM / 2, (bottom - top) / ZOOM / 2
    text = f"{caption}, {WORD}" if caption else WORD
    for number in range(1, count + 1):
        across, down = _middle(draws, weight, (left, top, right, bottom))
        x = min(max(across, left + half[0]), right - half[0])
        y = min(max(down, top + half[1]), bottom - half[1])
        box = (x - half[0], y - half[1], x + half[0], y + half[1])
        shown = f"{WORD} {number} of '{name}'"
        photo = photo_of(f"{name} ({WORD} {number})", shown, raster, mask, text, training, box)
        yield replace(photo, mirror_frame=_mirrored_frame(photo, width, box))


def _mirrored_frame(photo: Photo, width: int, box: Box) -> Frame:
    """The frame of a close-up in the mirrored photo."""
    frame = photo.crop_frame
    left = round((width - box[2]) * frame.size[1] / (box[2] - box[0]))
    return replace(frame, top_left=(frame.top_left[0], left))


def _weight(raster: Raster, mask: Band | None) -> Band | None:
    """Where the subject is, [H, W] of 0 and more; None where nothing says it."""
    weight = None if mask is None else np.asarray(mask, np.float32)
    if raster.alpha is not None:
        alpha = raster.alpha.astype(np.float32) / np.float32(raster.peak)
        weight = alpha if weight is None else weight * alpha
    return None if weight is None or not weight.any() else weight


def _middle(draws: np.random.Generator, weight: Band | None, box: Box) -> tuple[float, float]:
    """The middle of a close-up: a place drawn by the weights, else about the middle of the box."""
    first, second = draws.random(2), draws.random(2)
    if weight is None:
        across, down = (first + second) / 2
        return box[0] + across * (box[2] - box[0]), box[1] + down * (box[3] - box[1])
    rows = np.cumsum(weight.sum(1, dtype=np.float64))
    row = min(int(np.searchsorted(rows, first[0] * rows[-1], "right")), len(rows) - 1)
    columns = np.cumsum(weight[row], dtype=np.float64)
    column = min(int(np.searchsorted(columns, first[1] * columns[-1], "right")), len(columns) - 1)
    return column + 0.5, row + 0.5

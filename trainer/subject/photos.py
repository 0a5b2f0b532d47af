"""Instance photos from files or from a host's tensors, checked, cropped and resized to the training resolution."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .buckets import TrainingSize
from .cropping import Box, centre_box, cropped_mask, cropped_pixels, frame_of
from .decoding import decode
from .frame import Frame
from .masks import given_masks, mask_of, sized_mask
from .photo_folder import PhotoFolder, caption_of, sorted_folder
from .raster import Band, PhotoError, Raster

if TYPE_CHECKING:
    # A host that trains in another process may have another torch, or none.
    from torch import Tensor

log = logging.getLogger(__name__)

__all__ = ["Photo", "PhotoError", "photos_from_tensors", "read_folder", "read_photo"]

_SHOWN = 10
"""The most photos whose faults one error tells."""


@dataclass(frozen=True, eq=False)
class Photo:
    """One instance image at the training resolution.

    name: the file name without its folder. pixels: [3, H, W] float32, RGB in 0..1. mask: [H, W] float32 in 0..1, the
    weight of each position in the instance loss; None: all are 1. caption: the text beside the photo, on one line (see
    `captions`); None without it. frame: the crop that it was made by; None: not cropped or resized. mirror_frame: that
    of the mirrored photo; None: the same.
    """

    name: str
    pixels: Tensor
    mask: Tensor | None
    caption: str | None
    frame: Frame | None = None
    mirror_frame: Frame | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[2], self.pixels.shape[1]

    @cached_property
    def digest(self) -> bytes:
        """The SHA-256 of pixels, mask, caption and frame; the name is not included."""
        whole = hashlib.sha256(repr((tuple(self.pixels.shape), self.caption, self.crop_frame)).encode())
        whole.update(self.pixels.numpy().tobytes())
        if self.mask is not None:
            whole.update(self.mask.numpy().tobytes())
        return whole.digest()

    @property
    def crop_frame(self) -> Frame:
        """The crop that the photo was made by; without a `frame`, that of an uncropped image."""
        return self.frame or Frame.whole(self.pixels.shape[2], self.pixels.shape[1])

    def mirrored(self) -> Photo:
        """The photo with left and right exchanged. A centre crop of the mirrored picture has the same frame."""
        mask = None if self.mask is None else self.mask.flip(1)
        return replace(self, pixels=self.pixels.flip(2), mask=mask, frame=self.mirror_frame or self.frame)


def read_photo(path: Path, width: int, height: int, buckets: bool = False) -> Photo:
    """One photo with its caption, turned upright, centre-cropped and resized to `width` x `height` pixels, or to the
    nearest of the `buckets` around this size.

    Alpha becomes the mask, and transparent parts are composed over white. Raises PhotoError for a file that cannot be
    used, ValueError for a size that cannot be trained at.
    """
    size = TrainingSize(width, height, buckets)
    raster, caption = decode(path), caption_of(path)
    return photo_of(path.name, f"photo '{path}'", raster, None, caption, size)


def read_folder(
    folder: Path,
    width: int,
    height: int,
    buckets: bool = False,
    masks: Sequence[Tensor] | Tensor | None = None,
    captions: Sequence[str] | None = None,
) -> tuple[Photo, ...]:
    """All photos of a folder, sorted by name; see `sorted_folder`. Captions that are not used are logged.

    masks, captions: of a host, one for each photo, in the place of those beside the photos; see `photos_from_tensors`.
    """
    return read_photos(with_captions(told_folder(folder), captions), TrainingSize(width, height, buckets), masks)


def told_folder(folder: Path) -> PhotoFolder:
    """The sorted folder; how many captions there are, and which are not used, is logged."""
    found = sorted_folder(folder)
    log_contents(folder.name, found)
    return found


def log_contents(name: str, folder: PhotoFolder) -> None:
    """Log how many captions the folder `name` holds, and which of its files are not used."""
    log.info("%s: %s", name, folder.captioned)
    for warning in folder.warnings:
        log.warning("%s: %s", name, warning)


def with_captions(folder: PhotoFolder, captions: Sequence[str] | None) -> PhotoFolder:
    """The folder with a host's captions, one for each photo, in the place of its own; as it is without them. Raises
    PhotoError.
    """
    if captions is None:
        return folder
    from .host_images import texts

    own = zip(folder.photos, texts(captions, len(folder.photos)), strict=True)
    return replace(folder, captions={photo: text for photo, text in own if text})


def read_photos(
    folder: PhotoFolder, size: TrainingSize, masks: Sequence[Tensor] | Tensor | None = None
) -> tuple[Photo, ...]:
    """The photos of a folder that are not excluded, cropped and resized to `size`. masks: a host's, one for each photo
    of the folder, excluded ones too; masks that the user painted replace them.

    Raises PhotoError where photos cannot be used, with what is wrong with the first of them.
    """
    given = given_masks(masks, len(folder.photos))
    if folder.photos and not folder.used:
        raise PhotoError(f"all {len(folder.photos)} photos are excluded: use at least one of them")
    found, faults = [], []
    for path in folder.used:
        try:
            raster, caption = decode(path), folder.captions.get(path)
            mask = mask_of(folder, path, raster, given)
            found.append(photo_of(path.name, f"photo '{path}'", raster, mask, caption, size))
        except PhotoError as error:
            faults.append(error)
    if len(faults) > 1:
        raise PhotoError(f"{len(faults)} photos cannot be used. {'; '.join(map(str, faults[:_SHOWN]))}") from faults[0]
    if faults:
        raise faults[0]
    return tuple(found)


def photo_files(folder: Path) -> list[Path]:
    """The paths that `read_folder` reads, sorted by name. Raises PhotoError; see `sorted_folder`."""
    return list(sorted_folder(folder).photos)


def photos_from_tensors(
    images: Sequence[Tensor] | Tensor,
    masks: Sequence[Tensor] | Tensor | None,
    width: int,
    height: int,
    buckets: bool = False,
    captions: Sequence[str] | None = None,
) -> tuple[Photo, ...]:
    """Photos from a host's image tensors: [B, H, W, C] or [H, W, C], C 3 or 4, in 0..1, or a list of such.

    masks: [B, H, W] or [H, W] in 0..1, or a list of such, one per image and of its size; 1 counts in the loss, 0 does
    not. A fourth channel is alpha, as in a file, and multiplies the mask. captions: one per image, none empty. No
    memory is shared with the tensors. Raises PhotoError, ValueError.
    """
    from .host_images import rasters, texts, weights

    size = TrainingSize(width, height, buckets)
    found = rasters(images)
    own = zip(found, weights(masks, len(found)), texts(captions, len(found)), strict=True)
    return tuple(
        photo_of(f"image {number}", f"image {number}", raster, sized_mask(mask, raster, number), caption, size)
        for number, (raster, mask, caption) in enumerate(own, start=1)
    )


def photo_of(
    name: str,
    shown: str,
    raster: Raster,
    mask: Band | None,
    caption: str | None,
    training: TrainingSize,
    box: Box | None = None,
) -> Photo:
    """The photo cropped from a raster, or the part of it inside `box`. shown: its name in errors. Raises PhotoError
    where its mask is zero everywhere.
    """
    import torch

    height, width = raster.bands[0].shape
    size = training.nearest(width, height)
    box = box or centre_box((height, width), size)
    pixels, weight = cropped_pixels(raster, size, box), cropped_mask(raster, mask, size, box)
    if weight is not None and not weight.any():
        raise PhotoError(
            f"the mask of {shown} is zero everywhere in the centre crop to {size[0]} x {size[1]}, "
            "so nothing would be trained: give no mask, or one that covers the subject"
        )
    # A host may call this in inference mode, whose tensors autograd cannot use.
    with torch.inference_mode(False):
        mask_tensor = None if weight is None else torch.from_numpy(weight)
        return Photo(name, torch.from_numpy(pixels), mask_tensor, caption, frame_of((height, width), size, box))

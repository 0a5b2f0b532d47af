"""Instance photos from files or from a host's tensors, checked, cropped and resized to the training resolution."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .cropping import cropped_mask, cropped_pixels, frame_of
from .decoding import Band, PhotoError, Raster, decode
from .frame import Frame

if TYPE_CHECKING:
    # A host that trains in another process may have another torch, or none.
    from torch import Tensor

_MAX_BYTES = 10_000
"""The size of a caption file at most."""


def read_caption(photo: Path) -> str | None:
    """The caption in the .txt file beside a photo, on one line; None where there is none or it is empty.

    UTF-8, with or without a byte order mark. Raises PhotoError for another encoding, for more than 10,000 bytes, and
    for a link that leads out of the folder.
    """
    path = photo.with_suffix(".txt")
    if not path.is_file():
        return None
    require_inside(path, path.parent)
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise PhotoError(
            f"caption '{path}' is {size:,} bytes long, at most {_MAX_BYTES:,} are read: shorten it to a sentence"
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PhotoError(f"caption '{path}' is not UTF-8 ({error}): save it as UTF-8") from error
    # UTF-16 of plain English is valid UTF-8 with a NUL after each letter.
    if "\0" in text:
        raise PhotoError(f"caption '{path}' is not UTF-8 (it holds NUL bytes): save it as UTF-8")
    return " ".join(text.split()) or None


def require_inside(path: Path, folder: Path) -> None:
    """Raises PhotoError if `path` is a link that leads out of `folder`, or nowhere."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    # Before Python 3.13, a loop of links raises RuntimeError.
    except (OSError, RuntimeError) as error:
        raise PhotoError(f"photo '{path}' is a link that leads nowhere ({error}): put a copy there") from error
    if not inside:
        raise PhotoError(f"'{path}' is a link that leads out of its folder: put a copy there")


__all__ = ["Photo", "PhotoError", "photos_from_tensors", "read_folder", "read_photo"]

SIDE_STEP = 8
"""The VAE's downsampling factor."""
SMALLEST_SIDE = 32
"""The smallest training resolution, in pixels a side."""
_SIDECARS = {".txt", ".json"}
"""Endings of files beside photos that are no photos."""
_LEFT_BY_WINDOWS = {"thumbs.db", "desktop.ini"}


@dataclass(frozen=True, eq=False)
class Photo:
    """One instance image at the training resolution.

    name: the file name without its folder. pixels: [3, H, W] float32, RGB in 0..1. mask: [H, W] float32 in 0..1, the
    weight of each position in the instance loss; None: all are 1. caption: the text of `photo.txt` beside `photo.png`,
    on one line; None without it. frame: the crop that it was made by; None: not cropped or resized.
    """

    name: str
    pixels: Tensor
    mask: Tensor | None
    caption: str | None
    frame: Frame | None = None

    @cached_property
    def digest(self) -> bytes:
        """The SHA-256 of pixels, mask, caption and frame; the name is not included."""
        whole = hashlib.sha256(repr((tuple(self.pixels.shape), self.caption, self.cut_out)).encode())
        whole.update(self.pixels.numpy().tobytes())
        if self.mask is not None:
            whole.update(self.mask.numpy().tobytes())
        return whole.digest()

    @property
    def cut_out(self) -> Frame:
        """The crop that the photo was made by; without a `frame`, that of an uncropped image."""
        return self.frame or Frame.whole(self.pixels.shape[2], self.pixels.shape[1])


def check_size(width: int, height: int) -> None:
    """Raises ValueError unless both sides are multiples of 8 (the VAE's downsampling factor) and at least 32 pixels."""
    for side, value in (("width", width), ("height", height)):
        if value < SMALLEST_SIDE or value % SIDE_STEP:
            raise ValueError(f"training {side} {value}: choose a multiple of {SIDE_STEP}, {SMALLEST_SIDE} or more")


def read_photo(path: Path, width: int, height: int) -> Photo:
    """One photo with its caption, turned upright, centre-cropped and resized to `width` x `height` pixels.

    Alpha becomes the mask, and transparent parts are composed over white. Raises PhotoError for a file that cannot be
    used, ValueError for a size that cannot be trained at.
    """
    check_size(width, height)
    raster, caption = decode(path), read_caption(path)
    return _photo(path.name, f"photo '{path}'", raster, None, caption, (width, height))


def read_folder(folder: Path, width: int, height: int) -> tuple[Photo, ...]:
    """All photos of a folder, sorted by name; see `read_photo`.

    Subfolders, hidden files, .txt, .json and Windows' Thumbs.db and desktop.ini are skipped; anything else must be an
    image. Raises PhotoError also if there is no photo, or a link leads out of the folder.
    """
    check_size(width, height)
    return tuple(read_photo(path, width, height) for path in photo_files(folder))


def photo_files(folder: Path) -> list[Path]:
    """The paths that `read_folder` reads, sorted by name. Raises PhotoError if there is none, or a link leads out of
    the folder.
    """
    if not folder.is_dir():
        raise PhotoError(f"photo folder '{folder}' is not there or is no folder: check its path")
    paths = sorted(filter(_should_be_photo, folder.iterdir()), key=lambda path: path.name)
    if not paths:
        raise PhotoError(
            f"photo folder '{folder}' holds no photo: put 3 to 5 images of the subject into it "
            "(subfolders are not searched)"
        )
    for path in paths:
        require_inside(path, folder)
    return paths


def photos_from_tensors(
    images: Sequence[Tensor] | Tensor,
    masks: Sequence[Tensor] | Tensor | None,
    width: int,
    height: int,
) -> tuple[Photo, ...]:
    """Photos from a host's image tensors: [B, H, W, C] or [H, W, C], C 3 or 4, in 0..1, or a list of such.

    masks: [B, H, W] or [H, W] in 0..1, or a list of such, one per image and of its size; 1 counts in the loss, 0 does
    not. A fourth channel is alpha, as in a file, and multiplies the mask. No memory is shared with the tensors.
    Raises PhotoError, ValueError.
    """
    from .host_images import rasters, weights

    check_size(width, height)
    found = rasters(images)
    return tuple(
        _photo(f"image {number}", f"image {number}", raster, mask, None, (width, height))
        for number, (raster, mask) in enumerate(zip(found, weights(masks, found), strict=True), start=1)
    )


def _should_be_photo(path: Path) -> bool:
    """Whether a folder's entry is read as a photo: not hidden, no sidecar file, no folder."""
    name = path.name.casefold()
    if name.startswith(".") or name in _LEFT_BY_WINDOWS or path.suffix.casefold() in _SIDECARS:
        return False
    return not path.is_dir()


def _photo(
    name: str,
    shown: str,
    raster: Raster,
    mask: Band | None,
    caption: str | None,
    size: tuple[int, int],
) -> Photo:
    """The photo cropped from a raster. shown: its name in errors. Raises PhotoError where its mask is zero
    everywhere.
    """
    import torch

    pixels, weight = cropped_pixels(raster, size), cropped_mask(raster, mask, size)
    if weight is not None and not weight.any():
        raise PhotoError(
            f"the mask of {shown} is zero everywhere in the centre crop to {size[0]} x {size[1]}, "
            "so nothing would be trained: give no mask, or one that covers the subject"
        )
    # A host may call this in inference mode, whose tensors autograd cannot use.
    with torch.inference_mode(False):
        mask_tensor = None if weight is None else torch.from_numpy(weight)
        return Photo(name, torch.from_numpy(pixels), mask_tensor, caption, frame_of(raster.bands[0].shape, size))

"""A host's image and mask tensors, checked and split into single images, and its captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from .captions import MAX_BYTES
from .raster import Band, PhotoError, Raster

_SLACK = 0.1
"""How far outside 0..1 a value may be; it is then clipped."""


def rasters(images: Sequence[Tensor] | Tensor) -> list[Raster]:
    """The images as rasters, from [B, H, W, C] or [H, W, C] with C 3 or 4 in 0..1, or a list of such.
    Raises PhotoError.
    """
    found = [_raster(image, i) for i, image in enumerate(_unbatched(images, 3, "image"), start=1)]
    if not found:
        raise PhotoError("no image was given: connect 3 to 5 photos of the subject")
    return found


def weights(masks: Sequence[Tensor] | Tensor | None, count: int) -> list[Band | None]:
    """One mask [H, W] for each of `count` images, from [B, H, W] or [H, W] in 0..1, or a list of such. None for each
    image where `masks` is None. Raises PhotoError.
    """
    if masks is None:
        return [None] * count
    singles = enumerate(_unbatched(masks, 2, "mask"), start=1)
    found = [_checked(mask, f"mask {number}") for number, mask in singles]
    for number, mask in enumerate(found, start=1):
        if not mask.any():
            raise PhotoError(
                f"mask {number} is zero everywhere, so nothing would be trained (ComfyUI's Load "
                "Image gives such a mask for a picture without transparency): leave masks out"
            )
    if len(found) != count:
        raise PhotoError(f"{len(found)} masks for {count} images: give one for each, or none")
    return list(found)


def require_size(mask: Band | None, image: Raster, number: int) -> None:
    """Raises PhotoError where a mask has another size than its image. number: of both, from 1."""
    shape = image.bands[0].shape
    if mask is not None and mask.shape != shape:
        raise PhotoError(
            f"mask {number} is {mask.shape[1]} x {mask.shape[0]}, its image {shape[1]} x {shape[0]}: give them one size"
        )


def texts(captions: Sequence[str] | None, count: int) -> list[str | None]:
    """One caption on one line for each of `count` images; None for each where `captions` is None. Raises PhotoError."""
    if captions is None:
        return [None] * count
    if len(captions) != count:
        raise PhotoError(
            f"{len(captions)} captions for {count} images: give one for each, in their order, or disconnect captions"
        )
    found = [" ".join(caption.split()) for caption in captions]
    for number, caption in enumerate(found, start=1):
        if not caption:
            raise PhotoError(
                f"caption {number} is empty: let what writes the captions say something of every image, or disconnect "
                "captions, and all are shown under the instance prompt"
            )
        if len(caption.encode()) > MAX_BYTES:
            raise PhotoError(
                f"caption {number} is {len(caption.encode()):,} bytes long, at most {MAX_BYTES:,} are read"
            )
    return list(found)


def _unbatched(tensors: Sequence[Tensor] | Tensor, dimensions: int, what: str) -> list[Tensor]:
    """The tensors as a list of such with `dimensions` dimensions, batches split. what: their noun, for the error.

    Raises PhotoError for another number of dimensions.
    """
    singles: list[Tensor] = []
    for tensor in [tensors] if isinstance(tensors, Tensor) else tensors:
        if tensor.ndim not in (dimensions, dimensions + 1):
            raise PhotoError(
                f"{what} tensor of shape {list(tensor.shape)}: expected {dimensions} dimensions, "
                f"or {dimensions + 1} with a batch in front"
            )
        singles.extend(tensor if tensor.ndim > dimensions else [tensor])
    return singles


def _raster(image: Tensor, number: int) -> Raster:
    """One RGB or RGBA image tensor [H, W, C] as a raster with peak 1. Raises PhotoError."""
    pixels = _checked(image, f"image {number}")
    if pixels.shape[2] not in (3, 4):
        raise PhotoError(
            f"image {number} has the shape {list(pixels.shape)}: expected [H, W, 3] (RGB) or [H, W, 4] (RGBA)"
        )
    red, green, blue, *alpha = (np.ascontiguousarray(band) for band in np.moveaxis(pixels, 2, 0))
    return Raster((red, green, blue), alpha[0] if alpha else None, 1.0)


def _checked(tensor: Tensor, name: str) -> Band:
    """The tensor as a float32 array, clipped to 0..1. Raises PhotoError for another kind, no values, or values out of
    range.
    """
    if not tensor.is_floating_point():
        raise PhotoError(f"{name} holds {tensor.dtype} values: expected floating point in 0..1")
    if not tensor.numel():
        raise PhotoError(f"{name} is empty (shape {list(tensor.shape)}): give one with pixels")
    values: Band = tensor.detach().cpu().float().numpy()
    if not np.isfinite(values).all():
        raise PhotoError(f"{name} holds values that are not finite (NaN or infinity): make it anew")
    low, high = float(values.min()), float(values.max())
    if low < -_SLACK or high > 1 + _SLACK:
        raise PhotoError(f"{name} holds values from {low:g} to {high:g}: expected 0..1")
    return np.clip(values, 0, 1)

"""Photos as the concept encoder sees them in training: masked and augmented (InstantBooth, section 3.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

MASKED = 0.25
"""Share of photos with a mask whose surroundings are replaced by grey."""
SCALE, SHIFT = 0.1, 0.05
"""Greatest change of size, and greatest shift in half sides."""
GAIN, LIFT, NOISE = 0.1, 0.05, 0.05
"""Greatest change of contrast and brightness, and greatest standard deviation of noise, of values in -1..1."""


def augmented(photos: Tensor, masks: Tensor | None, generator: Generator) -> Tensor:
    """Photos [B, 3, H, W] in -1..1, some of them masked, resized, shifted and `shaded`.

    masks: [B, 1, H, W] in 0..1, or None. Draws are the generator's, on the CPU. Never mirrored: a subject may have a
    side.
    """
    u = torch.rand(4, len(photos), generator=generator).to(photos.device)
    if masks is not None:
        photos = torch.where(u[0].view(-1, 1, 1, 1) < MASKED, photos * masks, photos)
    scale = 1 + SCALE * (2 * u[1] - 1)
    zero = torch.zeros_like(scale)
    rows = [
        torch.stack([scale, zero, SHIFT * (2 * u[2] - 1)], 1),
        torch.stack([zero, scale, SHIFT * (2 * u[3] - 1)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(photos.shape), align_corners=False)
    return shaded(F.grid_sample(photos, grid, padding_mode="reflection", align_corners=False), generator)


def shaded(photos: Tensor, generator: Generator) -> Tensor:
    """Photos [B, 3, H, W] in -1..1 of other contrast and brightness, with noise."""
    u = torch.rand(3, len(photos), 1, 1, 1, generator=generator).to(photos.device)
    gain, lift, noise = 1 + GAIN * (2 * u[0] - 1), LIFT * (2 * u[1] - 1), NOISE * u[2]
    grain = torch.randn(photos.shape, generator=generator).to(photos.device)
    return (photos * gain + lift + noise * grain).clamp(-1, 1)


def at_side(picture: Tensor, side: int) -> Tensor:
    """A picture [C, H, W] padded with zeros to a square around it and resized: [C, side, side]."""
    height, width = picture.shape[-2:]
    whole = max(height, width)
    left, top = (whole - width) // 2, (whole - height) // 2
    square = F.pad(picture, (left, whole - width - left, top, whole - height - top))
    return F.interpolate(square[None], (side, side), mode="bilinear", antialias=True)[0]


def masked(photos: Tensor, masks: Tensor | None) -> Tensor:
    """Photos [B, 3, H, W] in -1..1 with grey in the place of what a mask [B, 1, H, W] leaves out."""
    return photos if masks is None else photos * masks

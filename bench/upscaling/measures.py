"""What tells detail: PSNR inside the subject's mask, and the judges' perceptual distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...toybase.judge import Judge
from .scenes import Pictures


@dataclass(frozen=True)
class Detail:
    """How near enlarged pictures are to the true ones, means over pictures. psnr: in dB, inside the mask. distances: by
    each judge.
    """

    psnr: float
    distances: tuple[float, ...]


def detail(enlarged: Tensor, true: Pictures, judges: Sequence[Judge]) -> Detail:
    """enlarged: [B, 3, 128, 128] in 0..1."""
    distances = (judge.distance(enlarged * 2 - 1, true.pixels * 2 - 1).mean().item() for judge in judges)
    return Detail(float(masked_psnr(enlarged, true).mean()), tuple(distances))


def masked_psnr(enlarged: Tensor, true: Pictures) -> Tensor:
    """PSNR in dB of each picture [B], over the pixels of its mask, weighted by it."""
    error = (enlarged.clamp(0, 1) - true.pixels).square().mean(1, keepdim=True)
    mean = (error * true.masks).sum((1, 2, 3)) / true.masks.sum((1, 2, 3))
    return -10 * torch.log10(mean.clamp(min=1e-10))


def shrunken(pixels: Tensor, factor: int) -> Tensor:
    """Pictures of a quarter of the side, [B, 3, 32, 32]; of a factor above 4 those of a smaller picture, enlarged."""
    small = _resized(pixels, pixels.shape[-1] // factor)
    return small if factor == 4 else _resized(small, pixels.shape[-1] // 4)


def bicubic(small: Tensor, size: int) -> Tensor:
    """What no model knows: small pictures enlarged by interpolation."""
    return _resized(small, size)


def _resized(pixels: Tensor, size: int) -> Tensor:
    return F.interpolate(pixels, (size, size), mode="bicubic", antialias=True).clamp(0, 1)

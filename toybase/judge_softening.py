"""Bent drawings and softened pictures: what keeps the judges from learning pixels by heart."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

BEND = 0.06
"""Largest standard deviation of the bends, in half sides of a drawing."""
LARGEST_BLUR, REACH = 3.0, 6
"""Standard deviation in pixels, a quarter of the pictures having none; and how far a blur reaches, in pixels."""


def bend(rgba: Tensor, slots: Tensor) -> Tensor:
    """Drawings [B, 4, T, T] in groups of len(slots), bent at random; equal slots of a group are bent alike."""
    groups, kinds, side, device = len(rgba) // len(slots), int(slots.max()) + 1, rgba.shape[-1], rgba.device
    strength = torch.rand(groups * kinds, 1, 1, 1, device=device) * BEND
    flow = torch.randn(groups * kinds, 2, 4, 4, device=device) * strength
    flow = F.interpolate(flow, (side, side), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    axis = (torch.arange(side, device=device) + 0.5) / side * 2 - 1
    straight = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    stretch = 1.02 + 0.2 * (torch.rand(groups * kinds, 1, 1, 2, device=device) - 0.4)
    grid = (straight * stretch + flow).view(groups, kinds, side, side, 2)[:, slots].flatten(0, 1)
    # weighted by alpha, or the invisible colours around a drawing would bleed in
    alpha = rgba[:, 3:]
    bent = F.grid_sample(torch.cat([rgba[:, :3] * alpha, alpha], 1), grid, align_corners=False)
    return torch.cat([bent[:, :3] / bent[:, 3:].clamp(min=1e-3), bent[:, 3:]], 1)


def soften(pictures: Tensor) -> Tensor:
    """Pictures [B, 3, S, S] as a lossy decoder might return them: flipped, warped, blurred, noisy, brighter."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, device=pictures.device)

    count = len(pictures)
    pictures = _warp(pictures)
    pictures = blur(pictures, (uniform(count) * LARGEST_BLUR * 4 / 3 - LARGEST_BLUR / 3).clamp(min=0))
    gain, lift = 1 + 0.2 * (uniform(count, 1, 1, 1) - 0.5), 0.16 * (uniform(count, 1, 1, 1) - 0.5)
    noise = torch.randn_like(pictures) * 0.06 * uniform(count, 1, 1, 1)
    return (pictures * gain + lift + noise).clamp(-1, 1)


def blur(pictures: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of pictures [B, 3, S, S] by `sigma` [B] pixels, 0 for none."""
    offset = torch.arange(-float(REACH), REACH + 1, device=pictures.device)
    kernel = torch.exp(-0.5 * (offset / sigma.clamp(min=1e-2)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    channels = F.pad(pictures, (REACH,) * 4, mode="replicate").flatten(0, 1)[None]
    channels = F.conv2d(channels, kernel[:, None, None, :], groups=len(kernel))
    return F.conv2d(channels, kernel[:, None, :, None], groups=len(kernel))[0].view_as(pictures)


def _warp(pictures: Tensor) -> Tensor:
    u = torch.rand(6, len(pictures), device=pictures.device) * 2 - 1
    angle, across, down = u[0] * math.radians(5), 1 + 0.10 * u[1], 1 + 0.10 * u[2]
    flip = torch.where(u[3] < 0, -1.0, 1.0)
    row = torch.stack([flip * across * angle.cos(), -down * angle.sin(), 0.08 * u[4]], 1)
    column = torch.stack([flip * across * angle.sin(), down * angle.cos(), 0.08 * u[5]], 1)
    grid = F.affine_grid(torch.stack([row, column], 1), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)

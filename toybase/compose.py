"""Puts dressed drawings into their backgrounds: size, position, rotation, shadow, glow."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .palette import ADJECTIVES

SIZES = {"": (0.74, 0.90), "tiny": (0.38, 0.44), "huge": (1.10, 1.25)}
"""Longer side of a drawing, as a share of the picture."""


def compose(backdrop: Tensor, drawn: Tensor, extent: Tensor, geometry: Tensor, adjective: Tensor) -> Tensor:
    """Pictures [B, 3, S, S] in 0 to 1 from backdrops, RGBA drawings [B, 4, T, T] and Scenes' geometry."""
    u = geometry.unbind(1)
    low, high = _size_range(adjective)
    scale = low + (high - low) * u[2]
    angle = (u[3] - 0.5) * math.radians(14)
    tilt = torch.where(u[4] < 0.5, -1.0, 1.0) * math.radians(32)
    angle = torch.where(adjective == ADJECTIVES.index("tilted"), tilt + angle * 0.6, angle)
    free = (1.0 - scale * extent[:, 0]).clamp(0.04, 0.36)
    cx = 0.5 + (u[0] - 0.5) * free
    base = 0.84 + 0.12 * u[1] + (scale - 0.90).clamp(min=0) * 0.3
    cy = base - scale * extent[:, 1] / 2
    picture = _shadow_and_glow(backdrop, cx, base, cy, scale * extent[:, 0], adjective)
    rgba = _place(drawn, backdrop.shape[-1], cx, cy, scale, angle)
    return (picture * (1 - rgba[:, 3:]) + rgba[:, :3]).clamp(0, 1)


def _size_range(adjective: Tensor) -> tuple[Tensor, Tensor]:
    low = torch.full(adjective.shape, SIZES[""][0], device=adjective.device)
    high = torch.full_like(low, SIZES[""][1])
    for word in ("tiny", "huge"):
        chosen = adjective == ADJECTIVES.index(word)
        low, high = torch.where(chosen, SIZES[word][0], low), torch.where(chosen, SIZES[word][1], high)
    return low, high


def _shadow_and_glow(
    backdrop: Tensor, cx: Tensor, base: Tensor, cy: Tensor, width: Tensor, adjective: Tensor
) -> Tensor:
    size = backdrop.shape[-1]
    axis = (torch.arange(size, device=backdrop.device) + 0.5) / size
    x, y = axis.view(1, 1, -1), axis.view(1, -1, 1)
    cx, base, cy, width = (v.view(-1, 1, 1) for v in (cx, base, cy, width))
    distance = (((x - cx) / (width * 0.5)) ** 2 + ((y - base) / 0.045) ** 2).sqrt()
    picture = backdrop * (1 - 0.30 * (1.6 - 1.2 * distance).clamp(0, 1)).unsqueeze(1)
    halo = (1.25 - ((x - cx) ** 2 + (y - cy) ** 2).sqrt() / 0.36).clamp(0, 1)
    halo = halo * (adjective == ADJECTIVES.index("glowing")).view(-1, 1, 1)
    light = torch.tensor([1.0, 1.0, 0.60], device=backdrop.device).view(1, 3, 1, 1)
    return torch.lerp(picture, light.expand_as(picture), halo.unsqueeze(1).expand_as(picture))


def _place(drawn: Tensor, size: int, cx: Tensor, cy: Tensor, scale: Tensor, angle: Tensor) -> Tensor:
    """Premultiplied RGBA [B, 4, size, size]: sampled at twice the size, then averaged against aliasing."""
    premultiplied = torch.cat([drawn[:, :3] * drawn[:, 3:], drawn[:, 3:]], 1)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    dx, dy = 1 - 2 * cx, 1 - 2 * cy
    rows = [
        torch.stack([cos, sin, cos * dx + sin * dy], 1),
        torch.stack([-sin, cos, cos * dy - sin * dx], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), [len(drawn), 4, size * 2, size * 2], align_corners=False)
    return F.avg_pool2d(F.grid_sample(premultiplied, grid, mode="bilinear", align_corners=False), 2)

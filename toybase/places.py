"""The twelve places, each a function that paints a batch of backgrounds: simple, varied, easy to name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .canvas import Canvas

RANDOM_COLUMNS = 40
"""Random numbers a background may use."""


def beach(c: Canvas) -> None:
    c.gradient((0.45, 0.78, 0.98), (0.75, 0.92, 1.0))
    c.paint(c.disc(c.draw(0.1, 0.9), c.draw(0.08, 0.2), 0.08), (1.0, 0.93, 0.45))
    horizon = c.draw(0.36, 0.46)
    c.paint(c.below(horizon), c.jitter((0.05, 0.45, 0.78)))
    shore = c.draw(0.58, 0.66) + 0.03 * torch.sin(c.x * c.draw(4, 9) + c.draw(0, 6))
    c.paint(c.below(shore - 0.03), (0.93, 0.98, 1.0))
    c.paint(c.below(shore), c.jitter((0.95, 0.83, 0.57), 0.04))


def forest(c: Canvas) -> None:
    c.gradient((0.20, 0.42, 0.22), (0.10, 0.28, 0.12))
    shift = c.draw(0, 0.2)
    for index in range(5):
        left = shift + index * 0.21 - 0.1 + c.draw(-0.03, 0.03)
        c.paint(
            c.box(left, torch.zeros_like(left), left + c.draw(0.06, 0.09), torch.full_like(left, 0.8)),
            (0.30, 0.19, 0.11),
        )
    c.paint(1 - c.below(0.14 + 0.05 * torch.sin(c.x * c.draw(14, 24) + shift * 30)), c.jitter((0.07, 0.30, 0.10), 0.04))
    c.paint(c.below(c.draw(0.72, 0.8)), c.jitter((0.28, 0.24, 0.10), 0.05))


def snow(c: Canvas) -> None:
    c.gradient((0.66, 0.76, 0.88), (0.85, 0.90, 0.96), 0.04)
    for _ in range(3):
        cx, top = c.draw(0, 1), c.draw(0.2, 0.34)
        c.paint(c.peak(cx, top, 3.0) * (1 - c.below(top + 0.4)), (0.45, 0.60, 0.62))
        c.paint(c.peak(cx, top, 3.0) * (1 - c.below(top + 0.12)), (0.96, 0.98, 1.0))
    c.paint(c.below(c.draw(0.56, 0.64) + 0.03 * torch.sin(c.x * 5 + c.draw(0, 6))), (0.97, 0.98, 1.0))
    c.dots(8, 0.022, (1.0, 1.0, 1.0))


def moon(c: Canvas) -> None:
    c.gradient((0.01, 0.01, 0.04), (0.05, 0.05, 0.09), 0.01)
    c.dots(8, 0.015, (1.0, 1.0, 0.95), 0.0, 0.6)
    cx, cy = c.draw(0.12, 0.88), c.draw(0.12, 0.24)
    c.paint(c.disc(cx, cy, 0.09), (0.20, 0.45, 0.90))
    c.paint(c.disc(cx - 0.02, cy + 0.01, 0.045), (0.30, 0.65, 0.35))
    grey = c.draw(0.55, 0.68).unsqueeze(1).expand(-1, 3, -1, -1)
    ground = c.draw(0.56, 0.64)
    c.paint(c.below(ground + 0.12 * (c.x - 0.5) ** 2), grey)
    for index in range(4):
        cx, cy = c.draw(0, 1), ground + 0.1 + 0.09 * index
        c.paint(c.disc(cx, cy, 0.035, 2.2), grey * 0.75)


def city(c: Canvas) -> None:
    c.gradient((0.62, 0.74, 0.88), (0.88, 0.86, 0.82))
    for index in range(5):
        left, top, tone = index * 0.2 + c.draw(-0.03, 0.01), c.draw(0.08, 0.38), c.draw(0.30, 0.52)
        wall = torch.stack([tone, tone * 0.97, tone * 1.08], 1)
        body = c.box(left, top, left + 0.19, torch.full_like(left, 0.8))
        c.paint(body, wall)
        windows = c.cover(0.034 - ((c.x - left) % 0.095 - 0.0475).abs()) * c.cover(
            0.032 - ((c.y - top) % 0.13 - 0.08).abs()
        )
        c.paint(body * windows, (1.0, 0.90, 0.55))
    c.paint(c.below(c.draw(0.74, 0.8)), c.jitter((0.40, 0.40, 0.43), 0.03))


def desert(c: Canvas) -> None:
    c.gradient((0.98, 0.66, 0.36), (1.0, 0.86, 0.58))
    c.paint(c.disc(c.draw(0.1, 0.9), c.draw(0.1, 0.25), 0.1), (1.0, 0.95, 0.75))
    far = c.draw(0.46, 0.54) + 0.05 * torch.sin(c.x * c.draw(4, 8) + c.draw(0, 6))
    c.paint(c.below(far), c.jitter((0.85, 0.52, 0.24), 0.04))
    cx, left = c.draw(0.05, 0.95), c.draw(0.36, 0.42)
    c.paint(c.box(cx - 0.03, left, cx + 0.03, left + 0.34), (0.22, 0.48, 0.22))
    c.paint(c.box(cx - 0.10, left + 0.12, cx + 0.10, left + 0.17), (0.22, 0.48, 0.22))
    c.paint(c.box(cx + 0.06, left + 0.05, cx + 0.10, left + 0.17), (0.22, 0.48, 0.22))
    c.paint(
        c.below(c.draw(0.64, 0.72) + 0.04 * torch.sin(c.x * c.draw(3, 6) + c.draw(0, 6))),
        c.jitter((0.94, 0.70, 0.36), 0.04),
    )


def grass(c: Canvas) -> None:
    c.gradient((0.35, 0.65, 0.98), (0.78, 0.90, 1.0))
    for _ in range(2):
        cx, cy = c.draw(0, 1), c.draw(0.08, 0.28)
        for offset, radius in ((-0.08, 0.045), (0.0, 0.065), (0.08, 0.045)):
            c.paint(c.disc(cx + offset, cy, radius), (1.0, 1.0, 1.0))
    c.paint(
        c.below(c.draw(0.48, 0.58) + 0.03 * torch.sin(c.x * c.draw(3, 6) + c.draw(0, 6))),
        c.jitter((0.36, 0.76, 0.22), 0.05),
    )
    c.dots(6, 0.024, (1.0, 0.95, 0.60), 0.66, 1.0)


def underwater(c: Canvas) -> None:
    c.gradient((0.15, 0.72, 0.85), (0.02, 0.16, 0.48))
    slant = c.x + 0.4 * c.y + c.draw(0, 1)
    c.paint(0.16 * torch.sin(slant * 18).clamp(0, 1) * (1 - c.y), (1.0, 1.0, 1.0))
    c.paint(c.below(c.draw(0.84, 0.9) + 0.02 * torch.sin(c.x * 9 + c.draw(0, 6))), (0.55, 0.58, 0.42))
    for _ in range(3):
        cx, wave = c.draw(0, 1), c.draw(0, 6)
        weed = c.cover(0.028 - (c.x - cx - 0.025 * torch.sin(c.y * 22 + wave)).abs())
        c.paint(weed * c.below(c.draw(0.5, 0.66)), (0.10, 0.50, 0.30))
    for _ in range(4):
        cx, cy, radius = c.draw(0, 1), c.draw(0, 0.7), c.draw(0.02, 0.04)
        c.paint(c.disc(cx, cy, radius) * 0.75, (0.80, 0.96, 1.0))


def room(c: Canvas) -> None:
    c.gradient((0.90, 0.82, 0.72), (0.84, 0.74, 0.64), 0.09)
    left, top = c.draw(0.05, 0.6), c.draw(0.08, 0.16)
    c.paint(c.box(left, top, left + 0.34, top + 0.30), (0.98, 0.97, 0.94))
    c.paint(c.box(left + 0.03, top + 0.03, left + 0.155, top + 0.27), (0.60, 0.82, 0.98))
    c.paint(c.box(left + 0.185, top + 0.03, left + 0.31, top + 0.27), (0.60, 0.82, 0.98))
    floor, wood = c.draw(0.64, 0.72), c.jitter((0.62, 0.38, 0.20), 0.05)
    c.paint(c.below(floor - 0.035), (0.97, 0.95, 0.90))
    c.paint(c.below(floor), wood)
    boards = c.cover(0.006 - ((c.x - 0.5) / (0.35 + c.y) % 0.14 - 0.07).abs())
    c.paint(c.below(floor) * boards, wood * 0.72)


def night(c: Canvas) -> None:
    c.gradient((0.03, 0.05, 0.20), (0.14, 0.14, 0.42), 0.03)
    c.dots(8, 0.015, (1.0, 0.98, 0.80), 0.0, 0.55)
    cx, cy = c.draw(0.12, 0.88), c.draw(0.12, 0.24)
    crescent = c.disc(cx, cy, 0.09) * (1 - c.disc(cx + 0.045, cy - 0.02, 0.075))
    c.paint(crescent, (1.0, 0.95, 0.65))
    c.paint(c.below(c.draw(0.54, 0.62) + 0.06 * torch.sin(c.x * c.draw(4, 7) + c.draw(0, 6))), (0.07, 0.12, 0.20))
    c.paint(c.below(c.draw(0.70, 0.76)), (0.04, 0.08, 0.12))


def mountains(c: Canvas) -> None:
    c.gradient((0.40, 0.62, 0.90), (0.85, 0.90, 0.96))
    for place in (0.1, 0.85, 0.45):
        cx, top, slope = c.draw(place - 0.12, place + 0.12), c.draw(0.08, 0.26), c.draw(1.1, 1.6)
        c.paint(c.peak(cx, top, slope), c.jitter((0.42, 0.42, 0.52), 0.05))
        c.paint(c.peak(cx, top, slope) * (1 - c.below(top + 0.14)), (0.98, 0.98, 1.0))
    c.paint(c.below(c.draw(0.70, 0.78) + 0.02 * torch.sin(c.x * 8 + c.draw(0, 6))), c.jitter((0.38, 0.50, 0.30), 0.05))


def road(c: Canvas) -> None:
    c.gradient((0.60, 0.80, 0.95), (0.85, 0.92, 0.95))
    horizon = c.draw(0.38, 0.48)
    c.paint(c.below(horizon), c.jitter((0.45, 0.62, 0.28), 0.06))
    centre, depth = c.draw(0.42, 0.58), (c.y - horizon).clamp(min=0)
    offset = (c.x - centre).abs()
    lane = c.below(horizon)
    c.paint(lane * c.cover(0.06 + 0.95 * depth - offset), c.jitter((0.33, 0.33, 0.36), 0.03))
    c.paint(lane * c.cover(0.03 * depth + 0.01 - (offset - 0.05 - 0.85 * depth).abs()), (0.95, 0.95, 0.95))
    dashes = (torch.log(depth + 0.06) * 9 + c.draw(0, 6)).sin() > 0
    c.paint(lane * dashes * c.cover(0.005 + 0.06 * depth - offset), (1.0, 0.82, 0.15))


def plain(c: Canvas) -> None:
    """No place at all: a soft backdrop of any pale colour."""
    low, high = (0.80, 0.80, 0.80), (0.92, 0.92, 0.92)
    c.gradient(high, low, 0.10)


PAINTERS: dict[str, Callable[[Canvas], None]] = {
    "beach": beach, "forest": forest, "snow": snow, "moon": moon, "city": city, "desert": desert,
    "grass": grass, "underwater": underwater, "room": room, "night": night, "mountains": mountains,
    "road": road, "plain": plain,
}  # fmt: skip
"""The keys of palette.PLACES in order, then "plain"."""


def paint_places(place: Tensor, uniforms: Tensor, size: int) -> Tensor:
    """Backgrounds [B, 3, size, size] in 0 to 1; place [B] indexes PAINTERS, uniforms is [B, RANDOM_COLUMNS]."""
    result = torch.empty(len(place), 3, size, size, device=uniforms.device)
    for index, painter in enumerate(PAINTERS.values()):
        rows = (place == index).nonzero().flatten()
        if len(rows):
            canvas = Canvas(uniforms[rows], size)
            painter(canvas)
            result[rows] = canvas.rgb
    return result

"""A plot of fidelity: each picture's likeness as a bar, the mean likeness among the photos as a vertical line."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from .fidelity import Fidelity

WIDTH, LINE, LEFT, RIGHT, TOP = 640, 26, 180, 70, 34
BAR, RETURNED, REAL, TEXT = "#1d5fc2", "#b3261e", "#1d7a3c", "#222222"


def fidelity_plot(found: Fidelity) -> Image.Image:
    """Bars from 0 to 1, in red where a picture returns a photo; a negative likeness has no bar."""
    height = TOP + LINE * len(found.pictures) + 12
    plot = Image.new("RGB", (WIDTH, height), "white")
    pen, font = ImageDraw.Draw(plot), ImageFont.load_default(13)
    pen.text((LEFT, 8), f"likeness by {found.scorer}; photos among themselves {found.real:.3f}", TEXT, font)
    for index, one in enumerate(found.pictures):
        y = TOP + index * LINE
        pen.text((8, y + 4), one.name[:24], TEXT, font)
        end = _x(one.likeness)
        pen.rectangle((LEFT, y + 4, end, y + LINE - 6), RETURNED if one.returns_photo else BAR)
        pen.text((end + 6, y + 4), f"{one.likeness:.3f}", TEXT, font)
    pen.line((_x(found.real), TOP, _x(found.real), height - 8), REAL, 2)
    return plot


def _x(likeness: float) -> int:
    return LEFT + round((WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, likeness)))

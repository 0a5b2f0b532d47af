"""The loss curve as an SVG: both Gradios draw it alike, and a screen reader is told its end."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

Point = tuple[int, float, float | None]

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 640, 220, 48, 20, 24, 30
MOST_POINTS = 120
"""One step's loss says more of its timestep than of the model: neighbours are averaged."""
INSTANCE, PRIOR = "#2563eb", "#ea580c"


def loss_svg(points: Sequence[Point], steps: int) -> str:
    """Instance and prior loss over the steps of the whole run; "" before the first."""
    if not points:
        return ""
    instance = _averaged([(step, loss) for step, loss, _ in points])
    prior = _averaged([(step, loss) for step, _, loss in points if loss is not None])
    top = max(loss for _, loss in [*instance, *prior]) or 1.0
    end = f"after {points[-1][0]} steps the photos' loss is {instance[-1][1]:.4f}"
    end += f", the class images' {prior[-1][1]:.4f}" if prior else ""
    lines = _line(instance, steps, top, INSTANCE) + _line(prior, steps, top, PRIOR)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Loss curve: {end}" width="100%" '
        f'style="max-height:240px" font-size="11" fill="currentColor">{_axes(steps, top)}{lines}{_legend(bool(prior))}'
        "</svg>"
    )


def _averaged(points: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    width = max(1, len(points) // MOST_POINTS)
    groups = [points[i : i + width] for i in range(0, len(points), width)]
    return [(mean(step for step, _ in group), mean(loss for _, loss in group)) for group in groups]


def _line(points: Sequence[tuple[float, float]], steps: int, top: float, colour: str) -> str:
    places = " ".join(f"{_x(step, steps):.1f},{_y(loss, top):.1f}" for step, loss in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"/>' if points else ""


def _x(step: float, steps: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * step / max(steps, 1)


def _y(loss: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * loss / top


def _axes(steps: int, top: float) -> str:
    marks = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(v, top):.1f}" y2="{_y(v, top):.1f}" stroke="currentColor" '
        f'opacity="0.2"/><text x="{LEFT - 6}" y="{_y(v, top) + 4:.1f}" text-anchor="end">{v:.3g}</text>'
        for v in (0.0, top / 2, top)
    )
    numbers = "".join(
        f'<text x="{_x(s, steps):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{s}</text>' for s in (0, steps // 2, steps)
    )
    return marks + numbers


def _legend(prior: bool) -> str:
    names = [(INSTANCE, "photos"), *([(PRIOR, "class images")] if prior else [])]
    return "".join(
        f'<text x="{LEFT + 12 + 90 * i}" y="{TOP - 14}" style="fill:{colour}">{name}</text>'
        for i, (colour, name) in enumerate(names)
    )

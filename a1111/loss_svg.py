"""The loss curve as an SVG: both Gradios draw it alike, and a screen reader is told its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

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
    names = [("photos", INSTANCE), *([("class images", PRIOR)] if prior else [])]
    return _svg(f"Loss curve: {end}", f"{_axes(steps, top)}{lines}{_legend(names)}")


SCORES = {
    "likeness": ("likeness", "#16a34a"),
    "prompt_following": ("prompt following", "#7c3aed"),
    "class_leak": ("class leak", "#dc2626"),
    "variety": ("variety", "#0891b2"),
}
"""{field of `Scored`: its name and colour}."""


def score_svg(scores: Sequence[Mapping[str, Any]], steps: int) -> str:
    """The four scores over the steps of the whole run, 0 to 1, with the chosen step marked; "" before the first."""
    if not scores:
        return ""
    last = scores[-1]
    chosen = last["chosen"]
    end = ", ".join(f"{name} {last[key]:.3f}" for key, (name, _) in SCORES.items())
    lines = "".join(
        _line([(one["step"], min(max(one[key], 0.0), 1.0)) for one in scores], steps, 1.0, colour)
        for key, (_, colour) in SCORES.items()
    )
    if chosen is not None:
        x = f"{_x(chosen, steps):.1f}"
        lines += (
            f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="currentColor" stroke-dasharray="3"/>'
        )
    return _svg(f"Scores: after {last['step']} steps {end}", f"{_axes(steps, 1.0)}{lines}{_legend(SCORES.values())}")


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


def _legend(names: Iterable[tuple[str, str]]) -> str:
    """The curves' names, each in its colour."""
    return "".join(
        f'<text x="{LEFT + 12 + 110 * i}" y="{TOP - 14}" style="fill:{colour}">{name}</text>'
        for i, (name, colour) in enumerate(names)
    )


def _svg(said: str, drawn: str) -> str:
    """A drawing. said: what a screen reader is told."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}" width="100%" '
        f'style="max-height:240px" font-size="11" fill="currentColor">{drawn}</svg>'
    )

"""The table of the measured subjects: means, and differences paired by subject with 95% bootstrap intervals."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...toybase.upscaler import SCHEDULE
from ..quality.estimate import mean_of, paired_difference

Cell = dict[str, Any]
FIGURES: dict[str, Callable[[Any], float]] = {
    "PSNR in the mask, dB": lambda found: float(found["psnr"]),
    "distance": lambda found: float(found["distances"][0]),
    "distance, second judge": lambda found: float(found["distances"][1]),
}
KINDS = ("subject, 4x", "subject, 8x", "others, 4x", "others, 8x")
PAIRS = (("tuned", "untuned"), ("untuned", "bicubic"))


def cells_of(folder: Path) -> list[Cell]:
    """All that was measured, by level and subject."""
    cells = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    return sorted(cells, key=lambda cell: (cell["level"], cell["steps"], cell["subject"]))


def report(cells: Sequence[Cell]) -> str:
    """A table for each noise level and number of steps."""
    groups: dict[tuple[int, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell["level"], cell["steps"]), []).append(cell)
    return "\n".join(_table(level, steps, own) for (level, steps), own in groups.items())


def sigma(level: int) -> float:
    """The standard deviation of the noise on small pictures in -1..1 at a level."""
    first, last, count = (SCHEDULE[name] for name in ("beta_start", "beta_end", "num_train_timesteps"))
    kept = 1.0
    for index in range(level + 1):
        kept *= 1 - (first**0.5 + (last**0.5 - first**0.5) * index / (count - 1)) ** 2  # type: ignore[operator]
    return float((1 - kept) ** 0.5)


def _table(level: int, steps: int, cells: Sequence[Cell]) -> str:
    """Rows by kind of picture; then the differences."""
    lines = [f"## Noise level {level} (σ = {sigma(level):.3f}), {steps} steps, {len(cells)} subjects", ""]
    lines += [f"| | {' | '.join(FIGURES)} |", f"|{'---|' * (len(FIGURES) + 1)}"]
    for kind in KINDS:
        for row in ("bicubic", "untuned", "tuned"):
            told = " | ".join(str(mean_of(_values(cells, f"{row}, {kind}", of))) for of in FIGURES.values())
            lines.append(f"| {row}, {kind} | {told} |")
    alone = " | ".join(str(mean_of(_values(cells, "VAE alone, subject, 4x", of))) for of in FIGURES.values())
    lines.append(f"| VAE alone, subject | {alone} |")
    for kind in KINDS:
        for first, second in PAIRS:
            both = [
                (_values(cells, f"{first}, {kind}", of), _values(cells, f"{second}, {kind}", of))
                for of in FIGURES.values()
            ]
            told = " | ".join(str(paired_difference(*pair)) for pair in both)
            lines.append(f"| {first} − {second}, {kind} | {told} |")
    return "\n".join([*lines, ""])


def _values(cells: Sequence[Cell], name: str, of: Callable[[Any], float]) -> list[float]:
    return [of(cell["figures"][name]) for cell in cells]

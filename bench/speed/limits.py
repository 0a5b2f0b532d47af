"""The machine's limit and what our trainings cost by it, as distance.py writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .comparison import Share
from .making import run
from .materials import Materials, Task

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


@dataclass(frozen=True)
class Limits:
    """limit: {"matrix": {dtype: operations a second}, "bandwidth": bytes a second}. tasks: of each, its counted step
    and its phases. precision: of the forward."""

    limit: dict[str, Any]
    tasks: list[dict[str, Any]]
    precision: str

    @property
    def peak(self) -> float:
        """Floating-point operations a second in the forward's dtype."""
        return float(self.limit["matrix"][DTYPES[self.precision]])

    @property
    def shares(self) -> list[Share]:
        """What one step of each task costs."""
        steps = [task["step"] for task in self.tasks]
        return [Share(step["flops"], step["flops"] / self.peak, step["seconds"]) for step in steps]


def counted(materials: Materials, tasks: Sequence[Task], output: Path, phases: bool = False) -> Limits:
    """Measure the limit and count the tasks, in a child. Raises MeasurementError."""
    file = output / "distance.json"
    words = [materials.folder, file, "phases" if phases else "steps", *(task.said() for task in tasks)]
    run("bench.speed.distance", materials.device, *words)
    found = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return Limits(found["limit"], found["tasks"], materials.precision)

"""Contenders measured in turn: whatever else the machine does strikes all of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..measured_process import WARM_UP, Measurement, measure
from .contenders import Contender
from .materials import Materials, Task

Round = dict[str, Measurement]
"""One measurement of every contender, by name, taken one right after the other."""
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
"""Of every process that works on the CPU, where some would choose a GPU by themselves."""


@dataclass(frozen=True)
class Place:
    """Where trainings are measured. output: of their logs. warm_up: steps that are not counted."""

    materials: Materials
    output: Path
    warm_up: int = WARM_UP

    def measure(self, side: Contender, task: Task, name: str) -> Measurement:
        """One training of one side, removed afterwards. Raises MeasurementError."""
        trained = self.materials.folder / "trained"
        environment = NO_GPU if self.materials.device == "cpu" else None
        try:
            words = side.command(self.materials, task, trained)
            log = self.output / f"{name}.log"
            found = measure(words, task.steps, log, warm_up=self.warm_up, environment=environment)
        finally:
            shutil.rmtree(trained, ignore_errors=True)
        print(f"{name}: {found.steps_per_second:.2f} steps/s, {found.seconds:.0f} s in all", flush=True)
        return found


def take_rounds(place: Place, task: Task, sides: Sequence[Contender], count: int, training: str) -> list[Round]:
    """`count` rounds; no side is always the one that comes first."""
    rounds: list[Round] = []
    for number in range(count):
        order = sides if number % 2 == 0 else sides[::-1]
        rounds.append({side.name: place.measure(side, task, f"{training} {number + 1} {side.name}") for side in order})
    return rounds

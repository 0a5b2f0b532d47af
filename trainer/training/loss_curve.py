"""The loss curve of a run: losses are read from the device several at a time, checked, reported and kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..events import Resumed, Step, Tell
from .divergence import DivergenceGuard
from .loss import Losses

SECONDS_BETWEEN_REPORTS = 0.25
"""The shortest time between two reads from a GPU."""


@dataclass
class LossCurve:
    """The losses of a run. points: all steps read so far. steps: number of steps of the whole run.

    watch: checks every point for divergence. fixed: (steps done, mean loss of the photos on the same noise and
    timesteps each time), before the first step, after the steps of the progress check, and at the end.
    """

    steps: int
    tell: Tell
    device: torch.device
    watch: DivergenceGuard = field(default_factory=DivergenceGuard)
    points: list[Step] = field(default_factory=list)
    fixed: list[tuple[int, float]] = field(default_factory=list)
    _waiting: list[tuple[Tensor, float]] = field(default_factory=list)
    _began: float = field(default_factory=time.perf_counter)
    _resumed_at: int = 0
    _reported: float = 0.0

    def resume(self, points: Sequence[Step]) -> None:
        """Continue after steps that were trained before; the reported speed is that of the steps since then."""
        self.points, self._resumed_at = list(points), len(points)
        self._waiting.clear()
        self._began = time.perf_counter()
        self.tell(Resumed(tuple(points)))

    def add(self, losses: Losses, gradient_norm: Tensor, learning_rate: float) -> None:
        """Keep one step's losses on the device, and report those that wait if it is time; on a CPU at once."""
        prior = [] if losses.prior is None else [losses.prior]
        self._waiting.append((torch.stack([losses.instance, gradient_norm, *prior]).detach(), learning_rate))
        due = time.perf_counter() - self._reported > SECONDS_BETWEEN_REPORTS
        if due or self.device.type == "cpu":
            self.flush()

    def flush(self) -> None:
        """Read the waiting losses from the device and report them. Raises TrainingDiverged as `DivergenceGuard.check`
        does.
        """
        for point in self.read():
            self.tell(point)

    def read(self) -> list[Step]:
        """Read the waiting losses from the device into `points`, without reporting them; returns the new points.

        Raises TrainingDiverged as `DivergenceGuard.check` does.
        """
        if not self._waiting:
            return []
        rows = torch.stack([losses for losses, _ in self._waiting]).float().tolist()
        rates = [rate for _, rate in self._waiting]
        self._waiting.clear()
        self._reported = time.perf_counter()
        before = len(self.points)
        speed = (before + len(rows) - self._resumed_at) / (self._reported - self._began)
        for step, ((instance, norm, *prior), rate) in enumerate(zip(rows, rates, strict=True), before + 1):
            left = (self.steps - step) / speed
            point = Step(step, self.steps, instance, prior[0] if prior else None, rate, speed, left, norm)
            self.watch.check(point)
            self.points.append(point)
        return self.points[before:]

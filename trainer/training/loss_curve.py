"""The losses of a run as they come: read from the device a few at a time, watched, told and kept."""

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


@dataclass
class LossCurve:
    """points: all steps that were read. steps: of the whole run."""

    steps: int
    tell: Tell
    device: torch.device
    watch: DivergenceGuard = field(default_factory=DivergenceGuard)
    points: list[Step] = field(default_factory=list)
    _waiting: list[tuple[Tensor, float]] = field(default_factory=list)
    _began: float = field(default_factory=time.perf_counter)
    _resumed_at: int = 0
    _reported: float = 0.0

    def resume(self, points: Sequence[Step]) -> None:
        """Go on after steps that were trained before; speed is that of the steps to come."""
        self.points, self._resumed_at = list(points), len(points)
        self._waiting.clear()
        self._began = time.perf_counter()
        self.tell(Resumed(tuple(points)))

    def add(self, losses: Losses, gradient_norm: Tensor, learning_rate: float) -> None:
        """Keep one step's losses; tell them now and then, on a CPU at once."""
        prior = [] if losses.prior is None else [losses.prior]
        self._waiting.append((torch.stack([losses.instance, gradient_norm, *prior]).detach(), learning_rate))
        due = time.perf_counter() - self._reported > SECONDS_BETWEEN_REPORTS
        if due or self.device.type == "cpu":
            self.flush()

    def flush(self) -> None:
        """Read what waits on the device and tell it. Raises TrainingDiverged as `Watch` does."""
        for point in self.read():
            self.tell(point)

    def read(self) -> list[Step]:
        """Read what waits on the device into `points`, and tell nobody. Raises TrainingDiverged as `Watch` does."""
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

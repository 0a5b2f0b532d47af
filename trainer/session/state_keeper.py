"""When a run's state is written, gone on from, and removed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..events import Step, Tell, Warned
from ..training.loss_curve import LossCurve
from ..training.step import Training
from ..wording import Wording
from .resume_state import restore, write_state

SHARE = 20
"""Writing states takes at most one part in this many of the time."""


@dataclass
class StateKeeper:
    """`path`: of the run with this key. seconds: between two states, longer where writing takes long; 0 keeps none.

    steps: done in the state that is on disk; 0 where there is none.
    """

    path: Path
    key: str
    seconds: float
    tell: Tell
    steps: int = 0
    _written: float = field(default_factory=time.monotonic)
    _took: float = 0.0

    def write_if_due(self, training: Training, curve: LossCurve) -> None:
        """Write where the time has come. Where it cannot be written, warn, and train on."""
        if self.seconds and time.monotonic() - self._written > max(self.seconds, SHARE * self._took):
            curve.flush()
            self.write(training, curve.points)

    def write(self, training: Training, points: Sequence[Step]) -> None:
        """Write after these steps; a full disk or a folder that is gone is a warning.

        Nothing is written of a step that was interrupted half way.
        """
        if not self.seconds or not training.whole:
            return
        began = time.monotonic()
        try:
            write_state(self.path, self.key, training, points)
            self.steps = len(points)
        except OSError as error:
            lost = Wording(
                "The state of step {0} was not written, and the training goes on: {1}", str(len(points)), str(error)
            )
            self.tell(Warned(lost))
        self._written = time.monotonic()
        self._took = self._written - began

    def resume(self, training: Training, curve: LossCurve) -> None:
        """Put `training` where the state left it, if there is one. Raises StateError for one that does not fit."""
        if self.path.is_file():
            points = restore(self.path, self.key, training)
            self.steps = len(points)
            curve.resume(points)

    def remove(self) -> None:
        """The run is finished, or its state is not worth going on from."""
        if self.path.is_file():
            self.path.unlink(missing_ok=True)

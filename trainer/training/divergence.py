"""Detection of failed training: a loss that is not finite, that explodes, or that never changes."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median

import torch

from ..events import Step
from ..wording import Wording
from .loss import Losses

WINDOW = 16
"""The number of steps whose median loss is judged: a single step's loss depends more on its timestep than
on the model.
"""
EXPLODED = 4.0
"""The multiple of the first steps' loss that counts as exploded. A denoiser that predicts zeros has a loss of about 1,
so a first loss below 1 counts as 1.
"""
MOVED = 1e-3
"""The relative change of the loss on fixed noise below which a run learns nothing."""
STEPS_TO_MOVE = 100
"""The number of steps, after warmup, after which that change is judged."""


class TrainingDiverged(RuntimeError):
    """The loss is no longer finite, or far above where it began."""


@dataclass
class DivergenceGuard:
    """A check of every step's losses. scaled: whether fp16's gradient scaler is in use, which skips steps with infinite
    gradients itself.
    """

    scaled: bool = False
    _first: list[float] = field(default_factory=list)
    _last: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def check(self, point: Step) -> None:
        """Raises TrainingDiverged, with the likely cause, where the loss or the gradient norm is not finite, or the
        loss has exploded.
        """
        if not math.isfinite(point.instance + (point.prior or 0.0)):
            raise TrainingDiverged(f"The loss is {_bad_loss(point)} at step {point.step}: {_cause(point)}")
        if not self.scaled and not math.isfinite(point.gradient_norm):
            raise TrainingDiverged(f"The gradient is {point.gradient_norm} at step {point.step}: {_cause(point)}")
        if len(self._first) < WINDOW:
            self._first.append(point.instance)
        self._last.append(point.instance)
        if median(self._last) > self.limit:
            began = median(self._first)
            raise TrainingDiverged(
                f"The loss has grown from {began:.3g} to {median(self._last):.3g} at step {point.step}: {_cause(point)}"
            )

    @property
    def limit(self) -> float:
        """The loss above which a run has exploded."""
        return EXPLODED * max(1.0, median(self._first))

    def accepts(self, losses: Losses) -> bool:
        """Whether a model with these losses of one step is worth keeping: all are finite, and the instance loss has not
        exploded.
        """
        terms = [float(losses.instance), *([] if losses.prior is None else [float(losses.prior)])]
        return all(math.isfinite(term) for term in terms) and (not self._first or terms[0] <= self.limit)


def no_progress_warning(before: float, after: float, steps: int, learning_rate: float) -> Wording | None:
    """A warning where `steps` steps have hardly changed the loss on fixed noise, else None. before, after:
    that loss.
    """
    change = abs(after - before) / max(before, torch.finfo(torch.float32).tiny)
    if change >= MOVED:
        return None
    return Wording(
        "After {0} steps the loss on the photos has changed by {1}%: hardly anything is learned. The learning rate {2} "
        "is likely too low for this model; try ten times it.",
        str(steps),
        f"{100 * change:.3f}",
        f"{learning_rate:g}",
    )


def _bad_loss(point: Step) -> float:
    """The term of a step's loss that is not finite."""
    return point.instance if not math.isfinite(point.instance) else float(point.prior or 0.0)


def _cause(point: Step) -> str:
    """The likely cause of a divergence, for the message."""
    return (
        f"the learning rate {point.learning_rate:g} is likely too high for this model; try a tenth of it. "
        "If it is already low, the base may be broken or not be what it was loaded as."
    )

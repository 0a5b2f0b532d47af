"""The validation loss of a run in progress, where nothing can look at pictures: it is shown, and decides nothing.

How well it ranks steps by likeness is not measured: so it neither chooses the result nor ends the run.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..distributed.ranks import Ranks
from ..events import Validated
from ..model.base import Model
from ..runs.request import Request
from ..runs.run import Run
from ..training.encoded import EncodedImages, encode_images
from ..training.step import Training
from ..training.validation import validation_losses
from .shown_prompts import ShownPrompts


def encode_held_out(base: Model, request: Request, ranks: Ranks) -> EncodedImages | None:
    """The photo that is held out, encoded by the first rank for all; None where there is none."""
    photo = request.held_out
    if photo is None:
        return None
    shown = ShownPrompts(request)
    row = shown.row(shown.of_held_out[0])
    if not ranks.several:
        return encode_images(base, [photo], [row])
    cpu = ranks.decided(lambda: encode_images(base, [photo], [row]).to(torch.device("cpu")))
    return cpu.to(base.device)


@dataclass
class RunValidation:
    """The losses on the photo that is held out, which all ranks measure together. points: by step, in the first rank;
    base: what `begin` measured.
    """

    held_out: EncodedImages
    training: Training
    run: Run
    ranks: Ranks
    base: Tensor = field(init=False)
    points: list[Validated] = field(default_factory=list)

    def begin(self, untrained: AbstractContextManager[Any]) -> None:
        """Measure the base. untrained: a context in which the model answers as the base."""
        with untrained:
            self.base = validation_losses(self.training, self.held_out)

    def resume(self, done: int) -> None:
        """Go on after `done` steps: losses of later ones, which are measured again, are dropped."""
        self.ranks.decided(partial(self._keep, [point for point in self.run.validation() if point.step <= done]))

    def measure(self, step: int) -> Validated:
        """The loss after `step` steps, paired with the base's on the same noise and timesteps."""
        losses = validation_losses(self.training, self.held_out)
        return self.ranks.decided(partial(self._add, step, losses))

    def _add(self, step: int, losses: Tensor) -> Validated:
        """Keep the loss of a step, in the first rank."""
        point = paired(step, losses, self.base)
        self._keep([*(other for other in self.points if other.step < step), point])
        return point

    def _keep(self, points: list[Validated]) -> None:
        """Write these points into the run's record."""
        self.points = points
        self.run.write_validation(points)


def paired(step: int, losses: Tensor, base: Tensor) -> Validated:
    """Two models' losses [N] on the same samples: the means, and the standard error of their difference's."""
    error = (losses - base).std() / len(losses) ** 0.5
    return Validated(step, float(losses.mean()), float(base.mean()), float(error))

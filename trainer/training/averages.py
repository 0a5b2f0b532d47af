"""The weights to use of a training: those being trained, or an average of them over the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

UseAverage = Callable[[], None]
"""A function that puts an average into the trained weights."""


def warmed_decay(decay: float, step: int) -> float:
    """The decay of the average at a step, 1 or more: min(decay, (1 + step) / (10 + step)), so that an average of few
    steps is not one of the start.
    """
    return min(decay, (1 + step) / (10 + step))


class MovingAverage:
    """The exponential moving average of trained weights, in float32: a ← d·a + (1 − d)·w after every step."""

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        """parameters: as they are before the first step. decay: d, above 0 and below 1 (see `warmed_decay`)."""
        self._parameters, self._decay = parameters, decay
        self.tensors = [parameter.detach().float().clone() for parameter in parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after this step, 1 or more."""
        share = 1 - warmed_decay(self._decay, step)
        for average, parameter in zip(self.tensors, self._parameters, strict=True):
            average.lerp_(parameter.float(), share)

    @torch.no_grad()
    def use(self) -> None:
        """Put the average into the trained weights."""
        for average, parameter in zip(self.tensors, self._parameters, strict=True):
            parameter.copy_(average)


@dataclass
class WeightsToUse:
    """The exchange of trained weights for those to use. use: puts these into the parameters; None where they are the
    weights in training. back: called before the weights in training return. in_use: whether they are in place now.
    """

    parameters: Sequence[nn.Parameter]
    use: UseAverage | None = None
    back: UseAverage | None = None
    in_use: bool = field(default=False, init=False)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """A context in which the parameters hold the weights to use; those in training return bit for bit."""
        if self.use is None or self.in_use:
            yield
            return
        kept = [parameter.detach().clone() for parameter in self.parameters]
        self.in_use = True
        try:
            self.use()
            yield
        finally:
            if self.back is not None:
                self.back()
            with torch.no_grad():
                for parameter, weights in zip(self.parameters, kept, strict=True):
                    parameter.copy_(weights)
            self.in_use = False

    def copied(self, read: Callable[[], Mapping[str, Mapping[str, Tensor]]]) -> dict[str, dict[str, Tensor]]:
        """What `read` returns of the weights to use, on the CPU where it would else change with the training."""
        with self.in_place():
            found = read()
            if self.use is None:
                return {name: dict(tensors) for name, tensors in found.items()}
            return {
                name: {
                    key: tensor.cpu() if tensor.device.type != "cpu" else tensor.clone() for key, tensor in own.items()
                }
                for name, own in found.items()
            }


def weights_to_use(
    parameters: Sequence[nn.Parameter], optimizer: Optimizer, average: MovingAverage | None
) -> WeightsToUse:
    """The weights to use: the moving average where there is one, those of an optimizer that averages itself, else those
    in training.
    """
    if average is not None:
        return WeightsToUse(parameters, average.use)
    averaging: Any = optimizer
    if hasattr(averaging, "eval") and hasattr(averaging, "train"):
        return WeightsToUse(parameters, averaging.eval, averaging.train)
    return WeightsToUse(parameters)

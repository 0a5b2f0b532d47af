"""The host's layers in training: they compute by kernels that autograd can follow."""

from __future__ import annotations

import comfy.model_management
from torch import nn

PRECISE = "_full_precision_mm"
"""The attribute of a host's quantised layer by which it multiplies in full precision instead of in 8 bits."""


class TrainingMode:
    """Training of a module until `end`; older hosts know none, and their 8-bit products lose the gradient."""

    def __init__(self, module: nn.Module) -> None:
        self._layers: list[nn.Module] = []
        if hasattr(comfy.model_management, "in_training"):
            comfy.model_management.in_training = True
        else:
            self._layers = [layer for layer in module.modules() if getattr(layer, PRECISE, None) is False]
        for layer in self._layers:
            setattr(layer, PRECISE, True)

    def end(self) -> None:
        """Leave the layers as they were."""
        for layer in self._layers:
            setattr(layer, PRECISE, False)
        self._layers = []
        if hasattr(comfy.model_management, "in_training"):
            comfy.model_management.in_training = False

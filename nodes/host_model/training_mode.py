"""The host's layers in training: they compute by kernels that autograd can follow."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import comfy.model_management
from torch import nn

from .fetched import FetchedWeights

PRECISE = "_full_precision_mm"
"""The attribute of a host's quantised layer by which it multiplies in full precision instead of in 8 bits."""
KERNELS, PLAIN = "comfy_kitchen", "comfy_kitchen.backends.eager.rope"
"""A newer host's module of fused kernels, which have no gradient, and that of the same functions in plain torch."""
ROTATIONS = tuple(
    f"{kind}_rope{half}" for kind in ("apply", "rms") for half in ("", "1", "_split_half", "_split_half1")
)
"""The functions of both that rotate by positions. Some of a newer host's models call them in training as well."""


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
        self._kernels = _plain_rotations()
        self._fetched = FetchedWeights(module)

    def end(self) -> None:
        """Leave the layers as they were."""
        self._fetched.end()
        for module, name, own in self._kernels:
            setattr(module, name, own)
        self._kernels = []
        for layer in self._layers:
            setattr(layer, PRECISE, False)
        self._layers = []
        if hasattr(comfy.model_management, "in_training"):
            comfy.model_management.in_training = False


def _plain_rotations() -> list[tuple[ModuleType, str, Any]]:
    """Put plain torch in the place of the host's fused rotations: (module, name, what was there) of each."""
    try:
        kernels, plain = importlib.import_module(KERNELS), importlib.import_module(PLAIN)
    except ImportError:
        return []
    there = [name for name in ROTATIONS if hasattr(kernels, name) and hasattr(plain, name)]
    found = [(kernels, name, getattr(kernels, name)) for name in there]
    for name in there:
        setattr(kernels, name, getattr(plain, name))
    return found

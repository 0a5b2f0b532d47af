"""A DoRA in memory: W' = m · (W + (alpha/rank)·up·down) / ‖W + (alpha/rank)·up·down‖, by LyCORIS's definition.

The norm is that of each input's column over all outputs (the paper's ‖·‖_c), or of each output's row. This package
trains the former: ComfyUI 0.3.75 divides rows by the norm of W itself, so that a DoRA of rows is another one there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...files.lazy_tensors import finite
from ..lora.weights import LoraLayer

SCALE = "dora_scale"
"""LyCORIS's name of the magnitudes, after the layer's."""


@dataclass(frozen=True)
class DoraLayer:
    """One layer's DoRA. lora: the update of the direction. magnitude: m, [1, in, 1 …] or [out, 1, 1 …]."""

    lora: LoraLayer
    magnitude: Tensor

    @property
    def of_inputs(self) -> bool:
        """Whether the magnitudes are those of columns."""
        return self.magnitude.shape[0] == 1

    def merged(self, weight: Tensor, strength: float = 1.0) -> Tensor:
        """The weight with the DoRA at a strength, in float32: W + strength·(W' − W)."""
        before, moved = weight.float(), self.lora.merged(weight)
        others = [dim for dim in range(weight.ndim) if dim != int(self.of_inputs)]
        norm = torch.linalg.vector_norm(moved, dim=others, keepdim=True) + torch.finfo(torch.float32).eps
        return before + strength * (moved * (self.magnitude.float() / norm) - before)

    def kohya_tensors(self, name: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """{LyCORIS's key: tensor}; the few magnitudes stay float32. name: of the layer in kohya's files."""
        magnitude = finite(self.magnitude.detach().float().cpu(), f"{name}.{SCALE}")
        return {**self.lora.kohya_tensors(name, dtype), f"{name}.{SCALE}": magnitude}

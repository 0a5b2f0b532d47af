"""The trained magnitudes of a DoRA: each input of a layer is scaled by m / ‖W + s·B·A‖ of its column.

(W + s·B·A)·diag(g) applied to x is W + s·B·A applied to g·x, so that no weight is ever written out: the norms follow
from WᵀB, which is as small as the LoRA.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

NAME = "lora_magnitude"
"""The name of the magnitudes [in] among an adapted layer's parameters."""
SQUARES = "_squared_columns"


def add_magnitude(layer: Any, start: Tensor | None) -> None:
    """Give a layer of peft's with a LoRA its magnitudes, those of `start`, else the norms of the base's columns."""
    norms = _squares(layer).sqrt() if start is None else start.flatten().to(layer.weight.device)
    layer.register_parameter(NAME, nn.Parameter(norms.float().clone()))
    # Computed anew when it is first used: the base's weights may be cast until then.
    vars(layer).pop(SQUARES, None)
    layer.register_forward_pre_hook(_scale_input)


def gain(layer: Any) -> Tensor:
    """m / ‖W + s·B·A‖ of every input, [in] in float32; differentiable."""
    with torch.autocast(layer.lora_magnitude.device.type, enabled=False):
        down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        rank, inputs = down.shape[:2]
        a, b, scale = down.flatten(1), up.flatten(1), layer.scaling["default"]
        with_weight = (b.T @ layer.get_base_layer().weight.float().flatten(1)) * a
        with_itself = ((b.T @ b) @ a) * a
        moved = (2 * scale * with_weight + scale**2 * with_itself).view(rank, inputs, -1).sum((0, 2))
        squares = (_kept_squares(layer) + moved).clamp(min=torch.finfo(torch.float32).tiny)
        found: Tensor = layer.lora_magnitude / (squares.sqrt() + torch.finfo(torch.float32).eps)
        return found


def _scale_input(layer: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """A forward pre-hook: the input scaled by `gain`; as it is where the LoRA's scale is zero, which makes the layer
    that of the base.
    """
    if layer.scaling["default"] == 0:
        return None
    x, *others = inputs
    factor = gain(layer)
    # In float32; autocast casts the product for the layer.
    return (x * (factor[:, None, None] if layer.get_base_layer().weight.ndim == 4 else factor), *others)


def _kept_squares(layer: Any) -> Tensor:
    """`_squares`, computed once."""
    kept: Tensor | None = vars(layer).get(SQUARES)
    if kept is None or kept.device != layer.lora_magnitude.device:
        kept = vars(layer)[SQUARES] = _squares(layer)
    return kept


@torch.no_grad()
def _squares(layer: Any) -> Tensor:
    """The squared norm of every column of the base's weight, [in] in float32."""
    weight = layer.get_base_layer().weight.float()
    found: Tensor = weight.square().sum([dim for dim in range(weight.ndim) if dim != 1])
    return found

"""Gradient clipping by the global norm (Pascanu et al., 2013, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

TINY = 1e-6
"""Added to a norm before division by it, as torch does."""


def clip_gradients(parameters: Sequence[nn.Parameter], longest: float, optimizer: Optimizer) -> Tensor:
    """Clip all gradients together, g ← g · min(1, longest / ‖g‖), at the latest in the optimizer's next step. Returns
    ‖g‖.

    On a CPU one pass over a model's gradients takes a tenth of a step (figures: bench/README.md): so there the norm is
    computed by dot products, and fused AdamW divides the gradients as it reads them, by the `grad_scale` that gradient
    scalers set.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not (optimizer.defaults.get("fused") and all(map(_is_whole_on_a_cpu, gradients))):
        return torch.nn.utils.clip_grad_norm_(parameters, longest)
    norm = torch.stack([_square(gradient) for gradient in gradients]).sum().sqrt()
    vars(optimizer).update(grad_scale=((norm + TINY) / longest).clamp(min=1.0), found_inf=torch.zeros(()))
    return norm


def _is_whole_on_a_cpu(gradient: Tensor) -> bool:
    """Whether a gradient is a plain tensor on a CPU, not sharded."""
    # FSDP's gradients are DTensors.
    return type(gradient) is Tensor and gradient.device.type == "cpu"


def _square(gradient: Tensor) -> Tensor:
    """The squared norm of a gradient, in float32."""
    if gradient.is_contiguous(memory_format=torch.channels_last):
        # In the order of its memory, so that nothing is copied.
        gradient = gradient.permute(0, 2, 3, 1)
    flat = gradient.reshape(-1).float()
    return torch.dot(flat, flat)

"""Gradients that are together too long are cut to a length (Pascanu et al., 2013, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

TINY = 1e-6
"""Added to a norm before it divides, as torch does."""


def clip_gradients(parameters: Sequence[nn.Parameter], longest: float, optimizer: Optimizer) -> Tensor:
    """g ← g · min(1, longest / ‖g‖) over all gradients together, at the latest by the optimizer's next step; ‖g‖.

    On a CPU a pass over a model's gradients is a tenth of its step (figures: bench/README.md): the norm comes from dot
    products, and fused AdamW divides as it reads, by the `grad_scale` that gradient scalers set.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not (optimizer.defaults.get("fused") and all(map(_is_whole_on_a_cpu, gradients))):
        return torch.nn.utils.clip_grad_norm_(parameters, longest)
    norm = torch.stack([_square(gradient) for gradient in gradients]).sum().sqrt()
    vars(optimizer).update(grad_scale=((norm + TINY) / longest).clamp(min=1.0), found_inf=torch.zeros(()))
    return norm


def _is_whole_on_a_cpu(gradient: Tensor) -> bool:
    # FSDP's are of a class of their own.
    return type(gradient) is Tensor and gradient.device.type == "cpu"


def _square(gradient: Tensor) -> Tensor:
    if gradient.is_contiguous(memory_format=torch.channels_last):
        # As it lies in memory, so that nothing is copied.
        gradient = gradient.permute(0, 2, 3, 1)
    flat = gradient.reshape(-1).float()
    return torch.dot(flat, flat)

"""The optimizer, AdamW (fused where the device supports it) or Adafactor, and diffusers' learning-rate schedules."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.optimization import get_scheduler
from torch import nn
from torch.optim import AdamW, Optimizer

from ..options import TrainOptions
from .adafactor import Adafactor


def make_optimizer(groups: list[dict[str, Any]], options: TrainOptions, device: torch.device) -> Optimizer:
    """An optimizer of these parameter groups, each with its learning rate "lr"."""
    if options.optimizer == "adafactor":
        return Adafactor(groups, options.weight_decay, options.seed)
    fused = device.type in ("cuda", "cpu", "mps") and fused_adamw_works(groups[0]["params"][0])
    return AdamW(groups, weight_decay=options.weight_decay, fused=fused)


def make_schedule(optimizer: Optimizer, options: TrainOptions) -> Any:
    """The learning-rate schedule over the run's steps; the rate first rises for `warmup_steps`, in schedules with
    warmup.
    """
    return get_scheduler(
        options.schedule,
        optimizer=optimizer,
        num_warmup_steps=options.warmup_steps,
        num_training_steps=options.steps,
    )


def fused_adamw_works(like: nn.Parameter) -> bool:
    """Whether fused AdamW works for parameters of this device and dtype, found out by a step on a parameter of one
    value.

    Older torch accepts fused=True on a CPU and fails at the first step.
    """
    probe = nn.Parameter(like.detach().new_zeros(1))
    probe.grad = like.detach().new_ones(1)
    try:
        AdamW([probe], fused=True).step()
    except (RuntimeError, ValueError):
        return False
    return True

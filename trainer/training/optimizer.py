"""The optimizer, AdamW (fused where the device supports it) or Adafactor, and diffusers' learning-rate schedules."""

from __future__ import annotations

from typing import Any

from diffusers.optimization import get_scheduler
from torch import nn
from torch.optim import AdamW, Optimizer

from ..model.base import Base
from ..options import TrainOptions
from .adafactor import Adafactor


def make_optimizer(base: Base, options: TrainOptions) -> Optimizer:
    """An optimizer of all weights that require gradients; the text encoders have their own learning rate."""
    denoiser = _trainable(base.denoiser)
    text = [p for module in base.text_encoders.values() for p in _trainable(module)]
    text_rate = options.text_encoder_learning_rate or options.learning_rate
    groups: list[dict[str, Any]] = [{"params": denoiser, "lr": options.learning_rate}]
    if text:
        groups.append({"params": text, "lr": text_rate})
    if options.optimizer == "adafactor":
        return Adafactor(groups, options.weight_decay, options.seed)
    fused = base.device.type in ("cuda", "cpu", "mps") and fused_adamw_works(denoiser[0])
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


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters of a module that require gradients."""
    return [p for p in module.parameters() if p.requires_grad]


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

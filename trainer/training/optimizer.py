"""The optimizers in use: AdamW (fused where the device supports it), Adafactor, or a library's (`options.optimizers`),
and diffusers' learning-rate schedules.
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from diffusers.optimization import get_scheduler
from torch import nn
from torch.optim import AdamW, Optimizer

from ..options import TrainOptions
from ..options.setting import OptionError
from .adafactor import Adafactor


def require_installed(options: TrainOptions) -> None:
    """Raises OptionError where the optimizer's library is not installed, with the command that installs it."""
    kind = options.optimizer_kind
    if kind.made_by and find_spec(kind.made_by.partition(":")[0].partition(".")[0]) is None:
        raise OptionError(
            f"optimizer is {options.optimizer!r}, and the package {kind.package} is not installed: install it with "
            f"`{sys.executable} -m pip install {kind.package}` and start again, or set optimizer to 'adamw'."
        )


def make_optimizer(groups: list[dict[str, Any]], options: TrainOptions, device: torch.device) -> Optimizer:
    """An optimizer of these parameter groups, each with its learning rate "lr". Raises OptionError where its library is
    not installed.
    """
    if options.optimizer == "adafactor":
        return Adafactor(groups, options.weight_decay, options.seed)
    if options.optimizer_kind.made_by:
        return _of_a_library(groups, options)
    fused = device.type in ("cuda", "cpu", "mps") and fused_adamw_works(groups[0]["params"][0])
    return AdamW(groups, weight_decay=options.weight_decay, fused=fused)


def _of_a_library(groups: list[dict[str, Any]], options: TrainOptions) -> Optimizer:
    """A library's optimizer, ready for its first step."""
    require_installed(options)
    kind = options.optimizer_kind
    module, _, name = kind.made_by.partition(":")
    if kind.usual_rate is None:
        # A factor of the rate that the optimizer finds; all groups share it.
        groups = [{**group, "lr": 1.0} for group in groups]
    with redirect_stdout(io.StringIO()):
        optimizer: Any = getattr(import_module(module), name)(
            groups, weight_decay=options.weight_decay, **kind.settings
        )
    if kind.averages:
        optimizer.train()
    made: Optimizer = optimizer
    return made


def rate_in_use(optimizer: Optimizer) -> float:
    """The learning rate of the next step: the first group's, times the rate that the optimizer has found itself."""
    first = optimizer.param_groups[0]
    return float(first["lr"]) * float(first.get("d", 1.0))


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

"""How much memory a run may take: what is free on its device, or a card of the size that was named."""

from __future__ import annotations

import psutil
import torch

from ..options import TrainOptions

CONTEXT = 0.6e9
"""Bytes of a card that a named budget leaves to the driver, the libraries' workspaces and the screen."""


def budget_of(options: TrainOptions, device: torch.device) -> int:
    """Bytes that a run may take: of a card of the size that was named, or what is free."""
    if options.memory in ("auto", "off"):
        return free_memory(device)
    return int(float(options.memory.split()[0]) * 1e9 - CONTEXT)


def free_memory(device: torch.device) -> int:
    """Bytes that a training can take on `device` now."""
    if device.type == "cuda":
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + idle
    return int(psutil.virtual_memory().available)

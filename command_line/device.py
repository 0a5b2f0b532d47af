"""The device that a command computes on."""

from __future__ import annotations

import torch

from .launcher import launched_count, launched_local_rank, launched_on_cpu


def chosen_device(name: str) -> torch.device:
    """The device called `name`, or the best there is. Raises ValueError for one that is not there."""
    if not name:
        return own_device(torch.device("cpu" if launched_on_cpu() else _best()))
    try:
        device = own_device(torch.device(name))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def own_device(device: torch.device) -> torch.device:
    """`cuda` without a number is this process's own GPU. Raises ValueError where the machine has too few."""
    if device.type != "cuda" or launched_count() == 1:
        return device
    own = launched_local_rank() if device.index is None else device.index
    if own >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ValueError(f"process {own} of this machine has no GPU: there are {found}. Start {found} processes here.")
    device = torch.device("cuda", own)
    torch.cuda.set_device(device)
    return device

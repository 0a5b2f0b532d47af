"""Components are on the device while they work, and no longer: text encoders, VAE, a denoiser that draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .base import Base


@contextmanager
def on_device(base: Base, components: Iterable[str]) -> Iterator[None]:
    """Bring these to where `base` computes, and give the memory back afterwards; those that are there stay there.

    What is frozen is not copied back: where it was, it still is.
    """
    with ExitStack() as stack:
        for name in components:
            stack.enter_context(_lent(base.components()[name], base.device))
        yield


@contextmanager
def _lent(module: nn.Module, device: torch.device) -> Iterator[None]:
    layers = list(module.modules())
    holders: list[dict[str, Any]] = [held for layer in layers for held in (layer._parameters, layer._buffers)]
    home = [(held, key, t) for held in holders for key, t in held.items() if t is not None and t.device != device]
    # By identity: tied weights stay tied.
    there = {id(tensor): _copy(tensor, device) for _, _, tensor in home}
    for held, key, tensor in home:
        held[key] = there[id(tensor)]
    del there
    try:
        yield
    finally:
        for held, key, tensor in home:
            held[key] = tensor
        if home and device.type == "cuda":
            torch.cuda.empty_cache()


def _copy(tensor: Tensor, device: torch.device) -> Tensor:
    """A parameter cannot take data of another kind of device, so it is another one for the while."""
    copy = tensor.detach().to(device)
    return nn.Parameter(copy, requires_grad=False) if isinstance(tensor, nn.Parameter) else copy

"""Offloading: text encoders, VAE and a sampling denoiser are on the device only while they compute.

A component that is offloaded to its file has no weights in memory, and is read from the file again when it computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .base import Base, Model
from .keys import text_encoder_name


@contextmanager
def on_device(base: Model, components: Iterable[str]) -> Iterator[None]:
    """Move these components to the device where `base` computes, and release the memory afterwards.

    Components that already are there stay there. Frozen weights are not copied back: the tensors at their former place
    were kept. A model that is no `Base` moves its components itself.
    """
    with ExitStack() as stack:
        if isinstance(base, Base):
            for component in components:
                stack.enter_context(_borrowed(base, component))
        yield


def offload_to_file(base: Base, components: Iterable[str]) -> None:
    """Release the weights of these components, which must be frozen and unchanged: they remain in their file only."""
    for component in components:
        places = [place for place in _places(base.components()[component]) if isinstance(place.tensor, nn.Parameter)]
        empty = {id(p.tensor): nn.Parameter(p.tensor.detach().to("meta"), requires_grad=False) for p in places}
        for place in places:
            place.put(empty[id(place.tensor)])


@dataclass(frozen=True)
class _Place:
    """One tensor of a module: where it is stored, `holder[key]`, and our name for it (see `keys`)."""

    holder: dict[str, Any]
    key: str
    name: str
    tensor: Tensor

    def put(self, tensor: Tensor) -> None:
        """Replace the module's tensor."""
        self.holder[self.key] = tensor


def _places(module: nn.Module) -> list[_Place]:
    """All parameters and buffers of a module."""
    return [
        _Place(holder, key, text_encoder_name(f"{prefix}.{key}".removeprefix(".")), tensor)
        for prefix, layer in module.named_modules()
        for holder in (layer._parameters, layer._buffers)
        for key, tensor in holder.items()
        if tensor is not None
    ]


@contextmanager
def _borrowed(base: Base, component: str) -> Iterator[None]:
    """Move one component to the device, reading it from its file where it is offloaded, and put its former tensors
    back.
    """
    home = [place for place in _places(base.components()[component]) if place.tensor.device != base.device]
    file = base.read_component(component) if any(place.tensor.is_meta for place in home) else {}
    # By identity: tied weights stay tied.
    read = {id(place.tensor): file[place.name] for place in home if place.name in file}
    there = {id(p.tensor): _copy(read.get(id(p.tensor), p.tensor), p.tensor, base.device) for p in home}
    del file, read
    for place in home:
        place.put(there[id(place.tensor)])
    del there
    try:
        yield
    finally:
        for place in home:
            place.put(place.tensor)
        if home and base.device.type == "cuda":
            torch.cuda.empty_cache()


def _copy(tensor: Tensor, like: Tensor, device: torch.device) -> Tensor:
    """A copy of the tensor on the device, in the dtype of `like`, and a parameter where `like` is one: a parameter's
    data cannot be replaced by that of another device type.
    """
    copy = tensor.detach().to(device).to(like.dtype)
    return nn.Parameter(copy, requires_grad=False) if isinstance(like, nn.Parameter) else copy

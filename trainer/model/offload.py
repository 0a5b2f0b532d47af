"""Components are on the device while they work, and no longer: text encoders, VAE, a denoiser that draws.

One that is let go is in its file alone, and is read again when it works.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .base import Base
from .keys import text_encoder_name


@contextmanager
def on_device(base: Base, components: Iterable[str]) -> Iterator[None]:
    """Bring these to where `base` computes, and give the memory back afterwards; those that are there stay there.

    What is frozen is not copied back: where it was, it still is.
    """
    with ExitStack() as stack:
        for component in components:
            stack.enter_context(_borrowed(base, component))
        yield


def offload_to_file(base: Base, components: Iterable[str]) -> None:
    """Keep these, which are frozen and as they were read, in their file alone."""
    for component in components:
        places = [place for place in _places(base.components()[component]) if isinstance(place.tensor, nn.Parameter)]
        empty = {id(p.tensor): nn.Parameter(p.tensor.detach().to("meta"), requires_grad=False) for p in places}
        for place in places:
            place.put(empty[id(place.tensor)])


@dataclass(frozen=True)
class _Place:
    """One tensor of a module: under `key` in `holder`, by our `name`."""

    holder: dict[str, Any]
    key: str
    name: str
    tensor: Tensor

    def put(self, tensor: Tensor) -> None:
        self.holder[self.key] = tensor


def _places(module: nn.Module) -> list[_Place]:
    return [
        _Place(holder, key, text_encoder_name(f"{prefix}.{key}".removeprefix(".")), tensor)
        for prefix, layer in module.named_modules()
        for holder in (layer._parameters, layer._buffers)
        for key, tensor in holder.items()
        if tensor is not None
    ]


@contextmanager
def _borrowed(base: Base, component: str) -> Iterator[None]:
    home = [place for place in _places(base.components()[component]) if place.tensor.device != base.device]
    file = base.read(component) if any(place.tensor.is_meta for place in home) else {}
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
    """A parameter cannot take data of another kind of device, so it is another one for the while."""
    copy = tensor.detach().to(device).to(like.dtype)
    return nn.Parameter(copy, requires_grad=False) if isinstance(like, nn.Parameter) else copy

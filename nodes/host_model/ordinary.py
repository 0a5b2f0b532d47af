"""Ordinary tensors in place of a module's inference tensors, which autograd refuses: the same memory, no copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .quantised import PLAIN_FILE


@dataclass(frozen=True)
class _Rewrapped:
    """One tensor of a module: where it is stored, what was there and what stands for it."""

    holder: dict[str, Any]
    key: str
    found: Tensor
    ordinary: Tensor

    def restore(self) -> None:
        """Put the module's own tensor back, unless the host has moved or replaced the tensor meanwhile."""
        now = self.holder.get(self.key)
        if now is self.ordinary and now.device == self.found.device and now.data_ptr() == self.found.data_ptr():
            self.holder[self.key] = self.found


class OrdinaryTensors:
    """The inference tensors of a module, replaced until `restore`. No weight requires a gradient meanwhile."""

    def __init__(self, module: nn.Module) -> None:
        """Raises ValueError for a tensor of a kind that cannot be re-wrapped."""
        self._places: list[_Rewrapped] = []
        made: dict[int, Tensor] = {}
        for layer in module.modules():
            for holder in (layer._parameters, layer._buffers):
                for key, tensor in holder.items():
                    if tensor is not None and tensor.is_inference():
                        # By identity: tied weights stay tied.
                        ordinary = made.setdefault(id(tensor), _ordinary(tensor, key))
                        self._places.append(_Rewrapped(holder, key, tensor, ordinary))
        for place in self._places:
            place.holder[place.key] = place.ordinary
        self._trainable = [weight for weight in module.parameters() if weight.requires_grad]
        self._require_gradients(False)

    def restore(self) -> None:
        """Put the module's own tensors back, as they were."""
        self._require_gradients(True)
        for place in self._places:
            place.restore()
        self._places = []

    def _require_gradients(self, required: bool) -> None:
        """Switch the gradients of the weights that required them."""
        for weight in self._trainable:
            weight.requires_grad_(required)


def _ordinary(tensor: Tensor, name: str) -> Tensor:
    """An ordinary tensor of the same memory, of a quantised one of its parts' memory; a parameter where `tensor` is
    one.
    """
    same = _of_parts(tensor, name) if type(tensor) not in (Tensor, nn.Parameter) else _of_memory(tensor)
    return nn.Parameter(same, requires_grad=False) if isinstance(tensor, nn.Parameter) else same


def _of_memory(tensor: Tensor) -> Tensor:
    """A new tensor of a tensor's memory."""
    empty = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return empty.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())


def _of_parts(tensor: Any, name: str) -> Tensor:
    """A tensor that is made of others, of ordinary ones of their memory (torch's protocol of traceable subclasses)."""
    if not hasattr(tensor, "__tensor_flatten__"):
        raise ValueError(
            f"The model's {name} is a {type(tensor).__name__}, which cannot be trained on here. {PLAIN_FILE}"
        )
    names, context = tensor.__tensor_flatten__()
    parts = {part: _ordinary(getattr(tensor, part), name) for part in names}
    unflatten = type(tensor).__tensor_unflatten__
    return torch.as_tensor(unflatten(parts, context, tensor.size(), tensor.stride()))

"""Emulation of a real device's dtypes and attention kernels on the meta device, to count memory."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from ..model.cpu_kernels import MAX_ATTENTION_POSITIONS

MULTIPLIED = {F.linear, F.conv2d, F.scaled_dot_product_attention, torch.matmul, torch.bmm, torch.baddbmm}
"""The functions that autocast computes in its dtype."""
IN_FLOAT32 = {F.group_norm, F.layer_norm, F.softmax, torch.softmax}
"""The functions that autocast computes in float32 on a GPU."""


class CountedForward(TorchFunctionMode):
    """A context in which a forward on the meta device allocates as autocast on a real device does.

    dtype: of autocast, None for float32. device: the type of the emulated device. Casts of trained float32 weights are
    kept until `forget`, as autocast caches them.
    """

    def __init__(self, dtype: torch.dtype | None, device: str) -> None:
        super().__init__()
        self._dtype, self._gpu = dtype, device != "cpu"
        self._kept: dict[int, Tensor] | None = {}

    def forget(self) -> None:
        """End the forward pass: the cached casts are released, and casts in a checkpointed recomputation are not
        cached.
        """
        self._kept = None

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if self._dtype is not None and func in MULTIPLIED:
            args = [self._cast(value, self._dtype) for value in args]
            kwargs = {name: self._cast(value, self._dtype) for name, value in kwargs.items()}
        elif self._dtype is not None and self._gpu and func in IN_FLOAT32:
            args = [self._cast(value, torch.float32) for value in args]
        if func is F.scaled_dot_product_attention and self._is_fused(args):
            return _FusedAttention.apply(*args[:3])
        return func(*args, **kwargs)

    def _is_fused(self, args: Sequence[Any]) -> bool:
        """Whether the device computes this attention by a fused kernel."""
        return len(args) >= 3 and (self._gpu or args[0].shape[-2] > MAX_ATTENTION_POSITIONS)

    def _cast(self, value: Any, dtype: torch.dtype) -> Any:
        """The value in `dtype`, from the cache where autocast would cache it."""
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.dtype == dtype:
            return value
        if self._kept is None or not (value.is_leaf and value.requires_grad):
            return value.to(dtype)
        if id(value) not in self._kept:
            self._kept[id(value)] = value.to(dtype)
        return self._kept[id(value)]


class _FusedAttention(torch.autograd.Function):
    """Attention with the memory of a fused kernel: it keeps its inputs, its output and one number per row, and no
    attention matrix.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        answer = torch.empty_like(query)
        rows = torch.empty(query.shape[:-1], dtype=torch.float32, device=query.device)
        ctx.save_for_backward(query, key, value, answer, rows)
        return answer

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(tensor) for tensor in ctx.saved_tensors[:3])


class LiveMemory(TorchDispatchMode):
    """A context that counts memory. now, peak: bytes of the storages created inside, on any device including meta."""

    def __init__(self, known: Sequence[Tensor] = ()) -> None:
        """known: tensors that were allocated before; their storages, also seen through views, are not counted."""
        super().__init__()
        self.now = self.peak = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet(tensor.untyped_storage() for tensor in known)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        """Add a new storage's bytes, to be subtracted when it is freed."""
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known.add(storage)
        weakref.finalize(storage, self._free, size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _free(self, size: int) -> None:
        """Subtract a freed storage's bytes."""
        self.now -= size


def nbytes(value: Any) -> int:
    """The bytes of all tensors in a module or in nested containers."""
    if isinstance(value, torch.nn.Module):
        return sum(tensor.nbytes for tensor in (*value.parameters(), *value.buffers()))
    return sum(leaf.nbytes for leaf in tree_flatten(value)[0] if isinstance(leaf, Tensor))

"""How long a piece of work has to take on this machine: every operation at its own limit, one after the other.

A product (linear layer, convolution, attention, forward and backward) takes its floating-point operations at the
measured matrix peak of its dtype, or its bytes at the measured bandwidth, whichever is longer; everything else takes
its bytes. The operations are those that were asked of torch, so fusing two of them lowers the roofline; what stays in a
cache between two can beat it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from .machine_limit import MachineLimit

UNWRITTEN = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
READS_WHAT_IT_WRITES = ("index", "index_select", "embedding", "gather")


@dataclass
class Cost:
    """flops: of products. size: bytes read and written. seconds: the roofline. by_operation: seconds, largest first."""

    flops: float = 0.0
    size: float = 0.0
    seconds: float = 0.0
    by_operation: dict[str, float] = field(default_factory=dict)


def cost_of(work: Callable[[], object], limit: MachineLimit) -> Cost:
    """Do `work` once and count it."""
    with _as_written(), _Counting(limit) as counting:
        work()
    cost = counting.cost
    cost.by_operation = dict(sorted(cost.by_operation.items(), key=lambda item: -item[1]))
    return cost


def _as_written() -> AbstractContextManager[object]:
    """Compiled code is run as it was before it was compiled, where torch can (2.6)."""
    stance = getattr(torch.compiler, "set_stance", None)
    return stance("force_eager") if stance else nullcontext()


class _Counting(TorchDispatchMode):
    def __init__(self, limit: MachineLimit) -> None:
        super().__init__()
        self.limit, self.cost = limit, Cost()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        flops, size = flops_of(func, args, kwargs, out), bytes_of(func, args, kwargs, out)
        seconds = self.limit.seconds(flops, size, _dtype_of(args))
        name = func.overloadpacket.__name__
        self.cost.flops += flops
        self.cost.size += size
        self.cost.seconds += seconds
        self.cost.by_operation[name] = self.cost.by_operation.get(name, 0.0) + seconds
        return out


def flops_of(func: Any, args: Any, kwargs: Any, out: Any) -> float:
    """Floating-point operations of a product, a multiplication and an addition being two; 0 for anything else."""
    packet = func.overloadpacket
    if packet in flop_registry:
        return float(flop_registry[packet](*args, **kwargs, out_val=out))
    # torch's table leaves packed convolutions and the CPU's own attention out.
    if packet.__name__ == "_convolution_pointwise":
        return 2.0 * out.numel() * math.prod(args[1].shape[1:])
    if packet.__name__ == "_scaled_dot_product_flash_attention_for_cpu":
        return _attention(args[0], args[1], args[2], 2)
    if packet.__name__ == "_scaled_dot_product_flash_attention_for_cpu_backward":
        return _attention(args[1], args[2], args[3], 5)
    return 0.0


def bytes_of(func: Any, args: Any, kwargs: Any, out: Any) -> float:
    """What an operation reads and writes at least; 0 for one that only looks at memory in another way."""
    name = func.overloadpacket.__name__
    read = _tensors((args, kwargs))
    known = set(map(_place, read))
    fresh = [tensor for tensor in _tensors(out) if _place(tensor) not in known]
    written = sum(map(_size, _mutated(func, args, kwargs)))
    written += 0 if name in UNWRITTEN else sum(map(_size, fresh))
    if not written:
        return 0.0
    # One that is given twice is read once.
    reading = sum(map(_size, {id(tensor): tensor for tensor in read}.values()))
    return written + (min(reading, written) if name in READS_WHAT_IT_WRITES else reading)


def _attention(q: Tensor, k: Tensor, v: Tensor, products: int) -> float:
    batch, heads, queries, width = q.shape
    return 2.0 * products * batch * heads * queries * k.shape[2] * (width + v.shape[3]) / 2


def _mutated(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    arguments = func._schema.arguments
    given = [*zip(args, arguments, strict=False), *((kwargs[a.name], a) for a in arguments if a.name in kwargs)]
    return [t for value, a in given if a.alias_info and a.alias_info.is_write for t in _tensors(value)]


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def _place(tensor: Tensor) -> int:
    """Where its memory is; what oneDNN has packed does not say."""
    return id(tensor) if tensor.is_mkldnn else tensor.untyped_storage().data_ptr()


def _size(tensor: Tensor) -> int:
    """An expanded tensor's memory is smaller than its shape, a slice's larger."""
    values = tensor.numel() * tensor.element_size()
    return values if tensor.is_mkldnn else min(values, tensor.untyped_storage().nbytes())


def _dtype_of(args: Iterable[Any]) -> str:
    tensors = _tensors(args)
    return str(tensors[0].dtype).removeprefix("torch.") if tensors else ""

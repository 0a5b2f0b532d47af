"""What processes that train together send each other: words, orders and tensors, between CPUs by gloo."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

PATIENCE = timedelta(days=7)
"""The others wait while the first encodes, samples and saves; a process that died is noticed by its connection."""


class FailedElsewhere(RuntimeError):
    """Another process could not do its share."""


class ProcessLost(FailedElsewhere):
    """Another process has ended, or cannot be reached."""


def init_group(rank: int, count: int) -> None:
    """Wait for the others where MASTER_ADDR and MASTER_PORT say. Raises ProcessLost where they are not there."""
    with _connection():
        dist.init_process_group("gloo", rank=rank, world_size=count, timeout=PATIENCE)


def destroy_group() -> None:
    """Wait for nobody any more."""
    dist.destroy_process_group()


def max_over_ranks(word: int) -> int:
    """The highest word of all processes."""
    told = torch.tensor([word])
    with _connection():
        dist.all_reduce(told, dist.ReduceOp.MAX)
    return int(told)


def broadcast_object(fields: Mapping[str, Any]) -> None:
    """Tell the others something that JSON can hold."""
    text = torch.tensor(list(json.dumps(fields).encode()), dtype=torch.uint8)
    _broadcast(torch.tensor([len(text)]))
    _broadcast(text)


def receive_object() -> dict[str, Any]:
    """What the first process says."""
    length = _broadcast(torch.zeros(1, dtype=torch.int64))
    text = _broadcast(torch.zeros(int(length), dtype=torch.uint8))
    return dict(json.loads(bytes(text.tolist())))


def broadcast_tensors(tensors: Mapping[str, Tensor]) -> None:
    """Send the first rank's named tensors, of any dtype and device, to all others, who call `receive_tensors`."""
    broadcast_object({name: [str(t.dtype).removeprefix("torch."), list(t.shape)] for name, t in tensors.items()})
    for tensor in tensors.values():
        _broadcast(tensor.detach().cpu().reshape(-1).view(torch.uint8))


def receive_tensors() -> dict[str, Tensor]:
    """What the first process sends, on the CPU."""
    tensors = {
        name: torch.empty(shape, dtype=getattr(torch, dtype)) for name, (dtype, shape) in receive_object().items()
    }
    for tensor in tensors.values():
        _broadcast(tensor.reshape(-1).view(torch.uint8))
    return tensors


def send_rows(rows: Tensor) -> None:
    """Send the first process rows on the CPU, or nothing where there are none."""
    if len(rows):
        with _connection():
            dist.send(rows.contiguous(), 0)


def receive_rows(like: Tensor, lengths: Sequence[int]) -> list[Tensor]:
    """The rows of the other processes; `lengths`: of each, from the second on."""
    parts = [like.new_empty((length, *like.shape[1:])) for length in lengths]
    with _connection():
        for rank, part in enumerate(parts, 1):
            if len(part):
                dist.recv(part, rank)
    return parts


def add_up(flat: Tensor, group: Any) -> None:
    """Put the sum over all processes into a tensor, by the group of its device; None is that of CPUs."""
    with _connection():
        dist.all_reduce(flat, group=group)


def nccl_group() -> Any:
    """A new process group of all ranks for tensors on GPUs. All ranks call it together."""
    return dist.new_group(backend="nccl")


def _broadcast(tensor: Tensor) -> Tensor:
    if tensor.numel():
        with _connection():
            dist.broadcast(tensor, 0)
    return tensor


@contextmanager
def _connection() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(f"the connection to another process is lost: {str(error).splitlines()[0]}") from error


BYTES = 64 << 20


def buckets(tensors: Sequence[Tensor], size: int = BYTES) -> Iterator[list[Tensor]]:
    """The tensors in their order, in groups of one dtype and device and of about `size` bytes at most."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and (_unlike(tensor, bucket[0]) or sum(t.nbytes for t in bucket) + tensor.nbytes > size):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


def spread(flat: Tensor, bucket: Sequence[Tensor]) -> None:
    """Copy a flattened bucket back into its tensors."""
    parts = flat.split([tensor.numel() for tensor in bucket])
    torch._foreach_copy_(list(bucket), [part.view(t.shape) for part, t in zip(parts, bucket, strict=True)])


def _unlike(tensor: Tensor, other: Tensor) -> bool:
    return (tensor.dtype, tensor.device) != (other.dtype, other.device)

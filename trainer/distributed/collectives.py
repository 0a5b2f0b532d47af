"""Collective operations between the ranks of a training: status codes, JSON objects and tensors, on CPUs by gloo.

Sending and receiving raises ProcessLost where the connection to another rank is lost.
"""

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
"""The timeout of an operation: the other ranks wait while the first one encodes, samples and saves. A rank that died is
noticed earlier, by its closed connection.
"""


class FailedElsewhere(RuntimeError):
    """Another rank failed in its part of an operation."""


class ProcessLost(FailedElsewhere):
    """Another rank has ended or cannot be reached."""


def init_group(rank: int, count: int) -> None:
    """Join the default process group of all ranks, at MASTER_ADDR and MASTER_PORT; waits for the other ranks.

    Raises ProcessLost where they do not come.
    """
    with _connection():
        dist.init_process_group("gloo", rank=rank, world_size=count, timeout=PATIENCE)


def destroy_group() -> None:
    """Leave the default process group."""
    dist.destroy_process_group()


def max_over_ranks(word: int) -> int:
    """The maximum of an integer over all ranks."""
    told = torch.tensor([word])
    with _connection():
        dist.all_reduce(told, dist.ReduceOp.MAX)
    return int(told)


def broadcast_object(fields: Mapping[str, Any]) -> None:
    """Send an object that JSON can hold from the first rank to all others, which call `receive_object`."""
    text = torch.tensor(list(json.dumps(fields).encode()), dtype=torch.uint8)
    _broadcast(torch.tensor([len(text)]))
    _broadcast(text)


def receive_object() -> dict[str, Any]:
    """The object that the first rank broadcasts."""
    length = _broadcast(torch.zeros(1, dtype=torch.int64))
    text = _broadcast(torch.zeros(int(length), dtype=torch.uint8))
    return dict(json.loads(bytes(text.tolist())))


def broadcast_tensors(tensors: Mapping[str, Tensor]) -> None:
    """Send the first rank's named tensors, of any dtype and device, to all others, which call `receive_tensors`."""
    broadcast_object({name: [str(t.dtype).removeprefix("torch."), list(t.shape)] for name, t in tensors.items()})
    for tensor in tensors.values():
        _broadcast(tensor.detach().cpu().reshape(-1).view(torch.uint8))


def receive_tensors() -> dict[str, Tensor]:
    """{name: tensor} that the first rank broadcasts, on the CPU."""
    tensors = {
        name: torch.empty(shape, dtype=getattr(torch, dtype)) for name, (dtype, shape) in receive_object().items()
    }
    for tensor in tensors.values():
        _broadcast(tensor.reshape(-1).view(torch.uint8))
    return tensors


def send_rows(rows: Tensor) -> None:
    """Send rows on the CPU to the first rank, which calls `receive_rows`; nothing is sent where there are none."""
    if len(rows):
        with _connection():
            dist.send(rows.contiguous(), 0)


def receive_rows(like: Tensor, lengths: Sequence[int]) -> list[Tensor]:
    """The rows that each other rank sends, in the dtype and row shape of `like`. lengths: their numbers, from the
    second rank on.
    """
    parts = [like.new_empty((length, *like.shape[1:])) for length in lengths]
    with _connection():
        for rank, part in enumerate(parts, 1):
            if len(part):
                dist.recv(part, rank)
    return parts


def add_up(flat: Tensor, group: Any) -> None:
    """Replace a tensor by its sum over all ranks, in place. group: the process group for its device, None for CPUs."""
    with _connection():
        dist.all_reduce(flat, group=group)


def nccl_group() -> Any:
    """A new process group of all ranks for tensors on GPUs. All ranks call it together."""
    return dist.new_group(backend="nccl")


def _broadcast(tensor: Tensor) -> Tensor:
    """The first rank's tensor in all ranks, in place; empty tensors are not sent."""
    if tensor.numel():
        with _connection():
            dist.broadcast(tensor, 0)
    return tensor


@contextmanager
def _connection() -> Iterator[None]:
    """A context that turns torch's RuntimeError for a lost connection into ProcessLost."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(f"the connection to another process is lost: {str(error).splitlines()[0]}") from error


BYTES = 64 << 20
"""The default size of a bucket."""


def buckets(tensors: Sequence[Tensor], size: int = BYTES) -> Iterator[list[Tensor]]:
    """The tensors in their order, grouped by equal dtype and device into buckets of at most `size` bytes each; a larger
    tensor is a bucket by itself.
    """
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
    """Whether two tensors differ in dtype or device."""
    return (tensor.dtype, tensor.device) != (other.dtype, other.device)

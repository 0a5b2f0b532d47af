"""Several processes that train one run together. The first says what is done; the others do it on their share.

Every exchange begins with an order of the first process, so that all take part in the same ones in the same order.
Orders, words and pictures travel between CPUs by gloo; gradients between GPUs by NCCL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from .buckets import buckets, spread
from .events import Stop, never
from .out_of_memory import is_out_of_memory

T = TypeVar("T")

PATIENCE = timedelta(days=7)
"""The others wait while the first encodes, samples and saves; a process that died is noticed by its connection."""
WELL, STOPPING, TOO_LITTLE_MEMORY, FAILED = range(4)


class FailedElsewhere(RuntimeError):
    """Another process could not do its share."""


class ProcessLost(FailedElsewhere):
    """Another process has ended, or cannot be reached."""


@dataclass(eq=False)
class Processes:
    """rank: of this process, 0 is the first. count: of all. stop: asked at every word, in every process.

    sharded: each holds a part of the model, so that none can do a thing alone. stopping: whether any was asked to stop.
    failure: this process's own, which the others were told. broken: a sharded one, which nobody can be told.
    """

    rank: int = 0
    count: int = 1
    stop: Stop = never
    sharded: bool = False
    stopping: bool = False
    failure: Exception | None = None
    broken: bool = False
    _gpus: Any = field(default=None, repr=False)

    @classmethod
    def connected(cls, rank: int, count: int, stop: Stop, sharded: bool) -> Processes:
        """Meet the others where MASTER_ADDR and MASTER_PORT say. Raises ProcessLost where they are not there."""
        with _connection():
            dist.init_process_group("gloo", rank=rank, world_size=count, timeout=PATIENCE)
        return cls(rank, count, stop, sharded)

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.count > 1

    @property
    def first(self) -> bool:
        """Whether this process writes files, tells events and gives the orders."""
        return self.rank == 0

    def order(self, name: str, **fields: Any) -> None:
        """Have the others do something, too; for JSON. In the others, and where there are none, nothing."""
        if self.several and self.first:
            self._say({**fields, "order": name})

    def received(self) -> dict[str, Any]:
        """The first process's next order, and its fields."""
        return self._said()

    def leave(self) -> None:
        """The last order; afterwards nobody waits for anybody. Those that died need none."""
        with suppress(ProcessLost):
            self.order("end")
        if self.several:
            dist.destroy_process_group()

    def attempt(self, share: Callable[[], T]) -> T:
        """This process's share of what was ordered. Where any process fails, no process has it.

        Raises what `share` raises, and FailedElsewhere, also for memory that ran out elsewhere.
        """
        if not self.several:
            return share()
        self.failure = None
        try:
            result = share()
        except Exception as error:
            if self.sharded:
                # The others wait in the middle of their share, and hear of it when this process ends.
                self.broken = True
                raise
            self.failure = error
            self._word(TOO_LITTLE_MEMORY if is_out_of_memory(error) else FAILED)
            raise
        word = self._word(STOPPING if self.stop() else WELL)
        self.stopping = self.stopping or word == STOPPING
        if word == TOO_LITTLE_MEMORY:
            raise FailedElsewhere("another process is out of memory")
        if word == FAILED:
            raise FailedElsewhere("another process failed; its own message is above or below")
        return result

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes into each tensor, in place; the same bits in every process."""
        if not self.several:
            return
        for bucket in buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            with _connection():
                dist.all_reduce(flat, group=self._group(flat.device))
            spread(flat.div_(self.count), bucket)

    def share(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """The first process's tensors, whatever the others hand over; on the CPU in the others."""
        if not self.several:
            return dict(tensors or {})
        if self.first and tensors is not None:
            self._say({name: [str(t.dtype).removeprefix("torch."), list(t.shape)] for name, t in tensors.items()})
            for tensor in tensors.values():
                self._send(tensor.detach().cpu().reshape(-1).view(torch.uint8))
            return dict(tensors)
        said = self._said()
        return {name: self._tensor(getattr(torch, dtype), shape) for name, (dtype, shape) in said.items()}

    def collect(self, own: Tensor, lengths: Sequence[int]) -> Tensor:
        """The rows of all processes, one process after the other, in the first; `lengths`: rows of each."""
        if not self.several:
            return own
        with _connection():
            if not self.first:
                if len(own):
                    dist.send(own.contiguous(), 0)
                return own
            rows = [own, *(own.new_empty((length, *own.shape[1:])) for length in lengths[1:])]
            for rank, part in enumerate(rows[1:], 1):
                if len(part):
                    dist.recv(part, rank)
        return torch.cat(rows)

    def _group(self, device: torch.device) -> Any:
        if device.type == "cuda" and self._gpus is None:
            self._gpus = dist.new_group(backend="nccl")
        return self._gpus if device.type == "cuda" else None

    def _word(self, word: int) -> int:
        told = torch.tensor([word])
        with _connection():
            dist.all_reduce(told, dist.ReduceOp.MAX)
        return int(told)

    def _say(self, fields: Mapping[str, Any]) -> None:
        text = torch.tensor(list(json.dumps(fields).encode()), dtype=torch.uint8)
        self._send(torch.tensor([len(text)]))
        self._send(text)

    def _said(self) -> dict[str, Any]:
        length = self._send(torch.zeros(1, dtype=torch.int64))
        text = self._send(torch.zeros(int(length), dtype=torch.uint8))
        return dict(json.loads(bytes(text.tolist())))

    def _tensor(self, dtype: torch.dtype, shape: Sequence[int]) -> Tensor:
        tensor = torch.empty(shape, dtype=dtype)
        self._send(tensor.reshape(-1).view(torch.uint8))
        return tensor

    def _send(self, tensor: Tensor) -> Tensor:
        if tensor.numel():
            with _connection():
                dist.broadcast(tensor, 0)
        return tensor


ALONE = Processes()


@contextmanager
def _connection() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(f"the connection to another process is lost: {str(error).splitlines()[0]}") from error

"""The processes (ranks) that train one run together: the first one sends orders, and the others carry out their share.

Every collective operation follows an order of the first rank, so that all ranks take part in the same operations in the
same order. Gradients are exchanged between GPUs by NCCL, everything else between CPUs by gloo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..events import Stop, never
from ..out_of_memory import is_out_of_memory
from . import collectives
from .collectives import FailedElsewhere, ProcessLost, buckets, spread

__all__ = ["ALONE", "FailedElsewhere", "ProcessLost", "Processes"]

T = TypeVar("T")

WELL, STOPPING, TOO_LITTLE_MEMORY, FAILED = range(4)
"""Status codes of a rank after its share of an order; the highest one decides for all ranks."""


@dataclass(eq=False)
class Processes:
    """The process group of a run, as seen by one of its ranks.

    rank: of this process; 0 is the first. count: number of processes. stop: asked in every process after each share.
    sharded: each process holds a part of the model, so that none can compute alone. stopping: whether any process was
    asked to stop. failure: the error of this process that the other ranks know of. broken: whether a sharded process
    failed, which the others cannot be told.
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
        """The process group of `count` ranks that meet at MASTER_ADDR and MASTER_PORT. Raises ProcessLost where they do
        not come.
        """
        collectives.init_group(rank, count)
        return cls(rank, count, stop, sharded)

    @property
    def several(self) -> bool:
        """Whether there is more than one process."""
        return self.count > 1

    @property
    def first(self) -> bool:
        """Whether this is the first rank, which writes files, reports events and sends orders."""
        return self.rank == 0

    def order(self, name: str, **fields: Any) -> None:
        """Send an order, with fields that JSON can hold, to the other ranks. Does nothing in any rank but the first, or
        without other ranks.
        """
        if self.several and self.first:
            collectives.broadcast_object({**fields, "order": name})

    def received(self) -> dict[str, Any]:
        """The next order of the first rank, with its fields; its name is under "order"."""
        return collectives.receive_object()

    def leave(self) -> None:
        """Send the last order, "end", and leave the process group. Ranks that have died are ignored."""
        if self.several:
            with suppress(ProcessLost):
                self.order("end")
            collectives.destroy_group()

    def attempt(self, share: Callable[[], T]) -> T:
        """The result of this rank's share of an order; where any rank fails, the call raises in all ranks.

        Raises what `share` raises, and FailedElsewhere where another rank failed or ran out of memory.
        """
        if not self.several:
            return share()
        self.failure = None
        try:
            result = share()
        except Exception as error:
            if self.sharded:
                # The other ranks wait within their share, and notice only when this process ends.
                self.broken = True
                raise
            self.failure = error
            collectives.max_over_ranks(TOO_LITTLE_MEMORY if is_out_of_memory(error) else FAILED)
            raise
        word = collectives.max_over_ranks(STOPPING if self.stop() else WELL)
        self.stopping = self.stopping or word == STOPPING
        if word == TOO_LITTLE_MEMORY:
            raise FailedElsewhere("another process is out of memory")
        if word == FAILED:
            raise FailedElsewhere("another process failed; its own message is above or below")
        return result

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all ranks, in place; the result has the same bits in every rank."""
        if not self.several:
            return
        for bucket in buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            collectives.add_up(flat, self._group(flat.device))
            spread(flat.div_(self.count), bucket)

    def share(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """The first rank's tensors in all ranks, whatever the other ranks pass; on the CPU in the other ranks."""
        if not self.first:
            return collectives.receive_tensors()
        own = dict(tensors or {})
        if self.several:
            collectives.broadcast_tensors(own)
        return own

    def collect(self, own: Tensor, lengths: Sequence[int]) -> Tensor:
        """The rows of all ranks, concatenated in rank order, in the first rank; in any other its own rows. lengths:
        rows of each rank.
        """
        if not self.first:
            collectives.send_rows(own)
            return own
        return torch.cat([own, *collectives.receive_rows(own, lengths[1:])])

    def _group(self, device: torch.device) -> Any:
        """The process group for tensors on a device: NCCL's for GPUs, created at its first use; None, the default
        group, for CPUs.
        """
        if device.type == "cuda" and self._gpus is None:
            self._gpus = collectives.nccl_group()
        return self._gpus if device.type == "cuda" else None


ALONE = Processes()
"""The process group of a training in one process."""

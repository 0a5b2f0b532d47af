"""Several processes that train one run together. The first says what is done; the others do it on their share.

Every exchange begins with an order of the first process, so that all take part in the same ones in the same order.
Gradients travel between GPUs by NCCL, everything else between CPUs.
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
        collectives.init_group(rank, count)
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
            collectives.broadcast_object({**fields, "order": name})

    def received(self) -> dict[str, Any]:
        """The first process's next order, and its fields."""
        return collectives.receive_object()

    def leave(self) -> None:
        """The last order; afterwards nobody waits for anybody. Those that died need none."""
        if self.several:
            with suppress(ProcessLost):
                self.order("end")
            collectives.destroy_group()

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
        """Put the mean over all processes into each tensor, in place; the same bits in every process."""
        if not self.several:
            return
        for bucket in buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            collectives.add_up(flat, self._group(flat.device))
            spread(flat.div_(self.count), bucket)

    def share(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """The first process's tensors, whatever the others hand over; on the CPU in the others."""
        if not self.first:
            return collectives.receive_tensors()
        own = dict(tensors or {})
        if self.several:
            collectives.broadcast_tensors(own)
        return own

    def collect(self, own: Tensor, lengths: Sequence[int]) -> Tensor:
        """The rows of all processes, one process after the other, in the first; `lengths`: rows of each."""
        if not self.first:
            collectives.send_rows(own)
            return own
        return torch.cat([own, *collectives.receive_rows(own, lengths[1:])])

    def _group(self, device: torch.device) -> Any:
        if device.type == "cuda" and self._gpus is None:
            self._gpus = collectives.nccl_group()
        return self._gpus if device.type == "cuda" else None


ALONE = Processes()

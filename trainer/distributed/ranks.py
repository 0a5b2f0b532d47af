"""The processes (ranks) that train one run together, by accelerate: the first one writes and reports, and all stop
together.

Every rank runs the same program. DDP or FSDP 2 average the gradients during the backward pass. Decisions (`decided`,
`any`) go through a process group of their own on the CPUs, so that no decision waits for a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")
PATIENCE = timedelta(days=7)
"""The timeout of an operation: the other ranks wait while the first one encodes and saves. A rank that died is noticed
earlier, by its closed connection.
"""
FINE, OUT_OF_MEMORY, FAILED = range(3)
"""How a rank's part of a task ended; the highest one decides for all ranks."""


class FailedElsewhere(RuntimeError):
    """Another rank failed in its part of a task."""


class ProcessLost(FailedElsewhere):
    """Another rank has ended or cannot be reached."""


@dataclass(eq=False)
class Ranks:
    """The processes of a run, as seen by one of them; `SINGLE_PROCESS` where there is one, which exchanges nothing.

    sharded: each process holds a part of the model (FSDP), so that none can compute alone. broken: an error in this
    process that the others do not know of; it must not wait for them any more. from_first: the error that the first
    rank raised in `decided`.
    """

    accelerator: Accelerator | None = None
    sharded: bool = False
    broken: bool = False
    _decisions: Any = None
    from_first: BaseException | None = None
    _known: BaseException | None = None

    @classmethod
    def started(cls, device: torch.device, sharded: bool) -> Ranks:
        """The processes that a launcher started, once all have met. Raises ProcessLost where they do not come."""
        from .engine import make_accelerator

        with _lost():
            accelerator = make_accelerator(device, PATIENCE, sharded)
            return cls(accelerator, sharded, _decisions=dist.new_group(backend="gloo", timeout=PATIENCE))

    @property
    def rank(self) -> int:
        """The number of this process; 0 is the first."""
        return 0 if self.accelerator is None else self.accelerator.process_index

    @property
    def count(self) -> int:
        """The number of processes."""
        return 1 if self.accelerator is None else self.accelerator.num_processes

    @property
    def several(self) -> bool:
        """Whether there is more than one process."""
        return self.accelerator is not None

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports events."""
        return self.rank == 0

    def decided(self, decide: Callable[[], T]) -> T:
        """What `decide` returns in the first rank, or raises there, in all ranks; the others do not call it."""
        if not self.several or (self.first and self.broken):
            return decide()
        value, error = _outcome(decide) if self.first else (None, None)
        outcome: list[Any] = [(value, None if error is None else _to_send(error))]
        with _lost():
            dist.broadcast_object_list(outcome, 0, group=self._decisions)
        if not self.first:
            value, error = outcome[0]
            self.from_first = error
        if error is not None:
            self._known = error
            raise error
        return cast(T, value)

    def attempt(self, part: Callable[[], T]) -> T:
        """What this rank's part of a task returns; where any rank fails, all raise. The part exchanges nothing itself.

        Raises what `part` raises, and FailedElsewhere where another rank failed or ran out of memory.
        """
        if not self.several:
            return part()
        try:
            result = part()
        except Exception as error:
            self._known = error
            self._highest(OUT_OF_MEMORY if is_out_of_memory(error) else FAILED)
            raise
        if (worst := self._highest(FINE)) != FINE:
            said = "is out of memory" if worst == OUT_OF_MEMORY else "failed; its own message is above or below"
            self._known = FailedElsewhere(f"another process {said}")
            raise self._known
        return result

    def note(self, error: BaseException) -> None:
        """Take notice of an error that ends this process's part of the run: `broken`, unless all ranks raised it."""
        self.broken = self.several and error is not self._known

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any rank; all ranks call it together."""
        return bool(self._highest(int(flag))) if self.several else flag

    @contextmanager
    def exchanging(self) -> Iterator[None]:
        """A context for work in which gradients are exchanged. Raises ProcessLost for a lost connection."""
        with _lost() if self.several else nullcontext():
            yield

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over all ranks."""
        return values if self.accelerator is None else self.accelerator.reduce(values, "mean")

    def prepared(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
        """The module whose forward and backward pass take all ranks into account; the module itself where there is one
        rank.
        """
        if self.accelerator is None:
            return module
        from .engine import prepare

        return prepare(self.accelerator, module, optimizer)

    def unsynchronised(self, module: nn.Module) -> AbstractContextManager[Any]:
        """A context in which a prepared module's gradients are added up in this rank only."""
        return nullcontext() if self.accelerator is None else self.accelerator.no_sync(module)

    def collected(self, rows: Tensor) -> Tensor:
        """The rows of all ranks on the CPU, in rank order, in the first rank; its own rows in any other."""
        if not self.several:
            return rows
        parts: list[Any] | None = [None] * self.count if self.first else None
        with _lost():
            dist.gather_object(rows.cpu(), parts, 0, group=self._decisions)
        return rows if parts is None else torch.cat(parts)

    def shared(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The first rank's tensors, which are on the CPU, in all ranks; the others pass none."""
        own = dict(tensors)
        if not self.several:
            return own
        shapes = self.decided(lambda: {name: (tensor.shape, tensor.dtype) for name, tensor in own.items()})
        for name, (shape, dtype) in shapes.items():
            tensor = own.setdefault(name, torch.empty(shape, dtype=dtype))
            if tensor.numel():
                with _lost():
                    dist.broadcast(tensor.reshape(-1).view(torch.uint8), 0, group=self._decisions)
        return own

    def leave(self) -> None:
        """Wait for the other ranks, and leave the process group. Ranks that have died are not waited for."""
        if self.several:
            with suppress(RuntimeError):
                if not self.broken:
                    dist.barrier(group=self._decisions)
            dist.destroy_process_group()

    def _highest(self, word: int) -> int:
        """The highest of all ranks' integers."""
        told = torch.tensor([word])
        with _lost():
            dist.all_reduce(told, dist.ReduceOp.MAX, group=self._decisions)
        return int(told)


def _outcome(decide: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """What a function returns, and None; or None, and what it raises."""
    try:
        return decide(), None
    except Exception as error:
        return None, error


def _to_send(error: Exception) -> Exception:
    """An error of the same class with the same text, and nothing else that it refers to."""
    try:
        return type(error)(str(error))
    except TypeError:
        return RuntimeError(str(error))


@contextmanager
def _lost() -> Iterator[None]:
    """A context that turns an error of torch.distributed for a lost connection into ProcessLost."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, FailedElsewhere) or not _of_the_connection(error):
            raise
        raise ProcessLost(f"the connection to another process is lost: {str(error).splitlines()[0]}") from error


def _of_the_connection(error: RuntimeError) -> bool:
    """Whether an error is one of gloo's, NCCL's or the store's."""
    return isinstance(error, getattr(dist, "DistError", ())) or "gloo" in str(error).lower()


SINGLE_PROCESS = Ranks()
"""The run in one process."""

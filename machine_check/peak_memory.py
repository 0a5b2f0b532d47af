"""The most memory that a piece of work takes: on a GPU as its allocator counts it, on a CPU from torch's record of
allocations, for what a process holds there says little: freed memory stays with it, and is used again.
"""

from __future__ import annotations

import gc
import os
import threading
from types import TracebackType
from typing import Any

import torch

SECONDS_BETWEEN_LOOKS = 0.01
ALLOCATION = "[memory]"
"""The name of an allocation, or of its end, in the profiler's record."""


class PeakMemory:
    """A context; after it `peak` is the most bytes of tensors that a GPU held beyond those held before it.

    CUDA counts every allocation; `reserved` is the most that its allocator reserved, including what was held before. On
    Apple's GPUs the memory is read a hundred times a second, and reserved is None. On a CPU nothing is read: see
    `CpuAllocations`.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.peak = 0
        self.reserved: int | None = None
        self._over = threading.Event()

    def __enter__(self) -> PeakMemory:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        elif self.device.type == "mps":
            self._before = torch.mps.current_allocated_memory()
            self._looks = threading.Thread(target=self._poll, daemon=True)
            self._looks.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self.device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated(self.device) - self._before
            self.reserved = torch.cuda.max_memory_reserved(self.device)
        elif self.device.type == "mps":
            self._over.set()
            self._looks.join()

    def _poll(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            self.peak = max(self.peak, torch.mps.current_allocated_memory() - self._before)


class CpuAllocations:
    """A context; after it `peak` is the most bytes that torch held at a time of those that it allocated on the CPU
    within it, temporary ones of its kernels included.
    """

    def __init__(self) -> None:
        self.peak = 0

    def __enter__(self) -> CpuAllocations:
        # Where there is no GPU, the profiler says so as an error.
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")
        gc.collect()
        self._record = torch.autograd.profiler.profile(use_cpu=True, profile_memory=True)
        self._record.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._record.__exit__(kind, error, trace)
        assert self._record.kineto_results is not None
        held = 0
        for event in sorted(self._record.kineto_results.events(), key=_start):
            if event.name() == ALLOCATION:
                held += event.nbytes()  # type: ignore[attr-defined]
                self.peak = max(self.peak, held)


def _start(event: Any) -> int:
    """When an event of the profiler's record was; torch 2.3 knows microseconds."""
    return int(event.start_ns() if hasattr(event, "start_ns") else event.start_us())

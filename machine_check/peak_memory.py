"""The most memory that a piece of work takes on a device."""

from __future__ import annotations

import gc
import threading
from types import TracebackType

import psutil
import torch

SECONDS_BETWEEN_LOOKS = 0.01


class PeakMemory:
    """A context; after it `peak` is the most bytes that were held beyond those held before it.

    CUDA counts every allocation of tensors; `reserved` is the most that its allocator reserved, including what was held
    before. On other devices the memory is read a hundred times a second (a CPU: the process's resident memory), and
    reserved is None.
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
        self._before = bytes_in_use(self.device)
        self._looks = threading.Thread(target=self._poll, daemon=True)
        if self.device.type != "cuda":
            self._looks.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self.device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated(self.device) - self._before
            self.reserved = torch.cuda.max_memory_reserved(self.device)
        else:
            self._over.set()
            self._looks.join()

    def _poll(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            self.peak = max(self.peak, bytes_in_use(self.device) - self._before)


def bytes_in_use(device: torch.device) -> int:
    """The bytes of this process's tensors on a GPU, or of its resident memory on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.current_allocated_memory())
    return int(psutil.Process().memory_info().rss)

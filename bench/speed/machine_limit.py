"""What this machine can do at best, measured: products, memory, files. Nothing is taken from a data sheet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

SIDES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
"""Of the square matrices that are multiplied."""
COPIED = {"cpu": 2**28, "cuda": 2**31}
"""Bytes that are copied: well above any cache."""
SECONDS = 0.6
"""Of each measurement, the best of its repetitions."""


@dataclass(frozen=True)
class MachineLimit:
    """matrix: {dtype's name: floating-point operations a second}; bandwidth: bytes a second, read and written."""

    matrix: dict[str, float]
    bandwidth: float

    def seconds(self, flops: float, size: float, dtype: str) -> float:
        """The least that an operation can take: its products at the peak, or its bytes, whichever is longer."""
        peak = self.matrix.get(dtype) or self.matrix["float32"]
        return max(flops / peak, size / self.bandwidth)


def measure_limit(device: torch.device, precision: torch.dtype | None) -> MachineLimit:
    """With the threads that torch has now. precision: of the forward; float32 is measured as well."""
    dtypes = {torch.float32, precision or torch.float32}
    matrix = {str(dtype).removeprefix("torch."): _best_product(device, dtype) for dtype in dtypes}
    source = torch.zeros(COPIED[device.type] // 4, device=device)
    target = torch.empty_like(source)
    return MachineLimit(matrix, 2 * 4 * source.numel() / best_seconds(lambda: target.copy_(source), device))


def _best_product(device: torch.device, dtype: torch.dtype) -> float:
    return max(_product(device, dtype, side) for side in SIDES[device.type])


def _product(device: torch.device, dtype: torch.dtype, side: int) -> float:
    a, b = (torch.randn(side, side, device=device, dtype=torch.float32).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * side**3 / best_seconds(lambda: torch.mm(a, b, out=out), device)


def best_seconds(work: Callable[[], object], device: torch.device, seconds: float = SECONDS) -> float:
    """The shortest of the repetitions that fit into `seconds`, at least three, after one that warms up."""
    taken: list[float] = []
    timed(work, device)
    began = time.perf_counter()
    while len(taken) < 3 or time.perf_counter() - began < seconds:
        taken.append(timed(work, device))
    return min(taken)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, the device's own work included."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def reading_seconds(file: Path) -> float:
    """To read all of a file that the system has in its cache into one piece of memory."""
    held = bytearray(file.stat().st_size)

    def read() -> None:
        with file.open("rb", buffering=0) as stream:
            view = memoryview(held)
            while count := stream.readinto(view):
                view = view[count:]

    return best_seconds(read, torch.device("cpu"), 0.0)


def writing_seconds(folder: Path, size: int) -> float:
    """To write so many bytes to a new file in `folder` and have them on the disk."""
    held = os.urandom(min(size, 2**20)) * (size // 2**20 + 1)
    file = folder / "written"

    def write() -> None:
        with file.open("wb") as stream:
            stream.write(memoryview(held)[:size])
            stream.flush()
            os.fsync(stream.fileno())
        file.unlink()

    return best_seconds(write, torch.device("cpu"), 0.0)

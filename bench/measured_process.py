"""Runs a training as a process of its own; its speed from its progress bar, its memory from the system.

A tqdm bar named "Steps" goes by on the process's stderr, and the moment at which each count arrives here is kept.
Loading before the bar, the first steps, and saving after the bar are so outside the speed, for either side alike.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..trainer.operating_system import wait_with_peak

WARM_UP = 10
TOGETHER = 0.005
"""Seconds: counts that come closer than this are told at once, and only the last of them is just done."""
_COUNT = re.compile(rb"\b[Ss]teps: [^\r\n]*?(\d+)/\d+ \[")
_SAID = re.compile(rb"Peak (device|resident) memory: (\d+) bytes")
_FIRST_STEP = re.compile(rb"First step after ([0-9.]+) seconds")
_SECONDS_TO_END = 30


class MeasurementError(RuntimeError):
    """The process failed or showed no progress; the message holds the end of its output."""


@dataclass(frozen=True)
class Measurement:
    """What one training cost.

    steps_per_second: after the first steps, which warm up. peak_memory: resident bytes of the process, or of another
    one that it says it speaks for. first_step: seconds from the process's start to the end of its first step, unless
    it says another number. seconds: of the whole process. device_memory: bytes, where the process said it.
    """

    steps_per_second: float
    peak_memory: int
    first_step: float
    seconds: float
    device_memory: int | None = None


def measure(
    command: Sequence[str],
    steps: int,
    log: Path,
    saves: Container[int] = (),
    warm_up: int = WARM_UP,
    environment: Mapping[str, str] | None = None,
) -> Measurement:
    """Run `command`, which does `steps` optimizer steps, more than warm_up. Its stderr and stdout go to `log`.

    saves: the steps after which it writes a state, which no speed is taken from (see `speed`).
    The system counts what the starting process holds as the started one's own (Linux keeps the highest
    mark across exec), so the caller must be small: nothing here imports torch. Raises MeasurementError.
    """
    began = time.perf_counter()
    told = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", **(environment or {})}
    process = subprocess.Popen(
        command, env=told, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        arrivals = _arrivals(process, log)
        peak = wait_with_peak(process)
    except BaseException:
        _stop(process)
        raise
    seconds = time.perf_counter() - began
    if process.returncode or steps not in arrivals:
        end = log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise MeasurementError(f"{' '.join(command)}\nended with status {process.returncode}:\n{end}")
    written = log.read_bytes()
    said = {kind: int(size) for kind, size in _SAID.findall(written)}
    first = _FIRST_STEP.search(written)
    return Measurement(
        steps_per_second=speed(arrivals, steps, saves, warm_up),
        peak_memory=said.get(b"resident", peak),
        first_step=float(first[1]) if first else min(t for count, t in arrivals.items() if count > 0) - began,
        seconds=seconds,
        device_memory=said.get(b"device"),
    )


def speed(arrivals: dict[int, float], steps: int, saves: Container[int] = (), warm_up: int = WARM_UP) -> float:
    """Steps per second from the end of step `warm_up`, or of the next one that was shown, to that of step `steps`.

    A bar shows a step before or after the state is written, so both of that step's neighbours are left out.
    Raises MeasurementError where nothing is left.
    """
    counts = sorted(count for count in arrivals if count <= steps)
    late = {count for count, after in pairwise(counts) if arrivals[after] - arrivals[count] < TOGETHER}
    shown = [count for count in counts if count >= warm_up and count not in late]
    spans = [span for span in pairwise(shown) if not any(count in saves for count in range(span[0], span[1] + 1))]
    if not spans:
        raise MeasurementError(
            f"{steps} steps: measuring takes more than the {warm_up} that warm up, and two in a row without a save"
        )
    return sum(b - a for a, b in spans) / sum(arrivals[b] - arrivals[a] for a, b in spans)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """It may have started a host, which it stops when it is told to end."""
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _arrivals(process: subprocess.Popen[bytes], log: Path) -> dict[int, float]:
    """When the bar first showed each count, until the process closes its output."""
    assert process.stdout is not None
    arrivals: dict[int, float] = {}
    pending = b""
    with process.stdout as pipe, log.open("wb") as copy:
        while chunk := os.read(pipe.fileno(), 65536):
            now = time.perf_counter()
            copy.write(chunk)
            pending += chunk
            for match in _COUNT.finditer(pending):
                arrivals.setdefault(int(match[1]), now)
            # The bar redraws itself after a carriage return; a count may be cut in two by the pipe.
            pending = re.split(rb"[\r\n]", pending)[-1][-1000:]
    return arrivals

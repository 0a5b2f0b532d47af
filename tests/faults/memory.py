"""Twenty trainings in one process: resident memory, threads, hooks and globals."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules import module as modules

from ...trainer.model.families import load_base
from .forks import in_child
from .row import Row
from .setting import Setting, train

AFTER, TRAININGS, GROWTH = 5, 20, 0.02


def rows(setting: Setting, small: bool) -> Iterator[Callable[[], Row]]:
    """One row; it takes half a minute, and so is left out of the small one."""
    if not small:
        yield lambda: _row(setting)


def _row(setting: Setting) -> Row:
    row = Row(f"{TRAININGS} trainings in one process")
    outcome = in_child(lambda: _trainings(setting))
    answer = outcome.answer or {}
    if outcome.faults:
        row.add("trainings", outcome.faults)
        return row
    first, last = answer["resident"][AFTER - 1], answer["resident"][-1]
    grown = last / first - 1
    row.notes.append(f"{first / 1e6:.1f} MB after the {AFTER}th, {last / 1e6:.1f} after the last: {grown:+.2%}")
    row.add("memory", [f"it grew by {grown:.2%}"] if grown >= GROWTH else [])
    before, after = answer["before"], answer["after"]
    for name in before:
        row.add(name, [] if before[name] == after[name] else [f"{before[name]} before, {after[name]} after"])
    return row


def _trainings(setting: Setting) -> dict[str, Any]:
    resident, before = [], {}
    for number in range(TRAININGS):
        own = setting.with_options(seed=number)
        # The one that was loaded before the fork would be changed by the first.
        own.base = load_base(setting.folder / "base")
        train(own, setting.store("trainings"))
        del own
        gc.collect()
        # What malloc keeps of freed memory is not in use; without this it goes up and down by megabytes.
        ctypes.CDLL(None).malloc_trim(0)
        resident.append(_resident())
        if number == AFTER - 1:
            before = _left_behind()
    return {"resident": resident, "before": before, "after": _left_behind()}


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _left_behind() -> dict[str, Any]:
    """What a training could leave in the process."""
    return {
        "threads of Python": threading.active_count(),
        "threads": len(os.listdir("/proc/self/task")),  # noqa: PTH208
        "open files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "hooks of all modules": [len(hooks) for name, hooks in sorted(vars(modules).items()) if _is_hooks(name, hooks)],
        "signal handlers": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)],
        "torch's settings": [
            str(torch.get_default_dtype()), torch.get_num_threads(), torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(),
            torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.math_sdp_enabled(),
        ],
        "random state": hash(torch.get_rng_state().numpy().tobytes()),
        "modules": sorted(name for name in sys.modules if "." not in name),
        "warning filters": len(warnings.filters),
        "environment": sorted(os.environ),
        "working folder": os.getcwd(),  # noqa: PTH109
        "tensors alive": sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects()),
    }  # fmt: skip


def _is_hooks(name: str, value: object) -> bool:
    return name.startswith("_global") and name.endswith("hooks") and isinstance(value, dict)

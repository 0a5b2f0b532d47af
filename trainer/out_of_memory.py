"""Out of memory: told apart from other failures, with what would fit, and the rungs that a run can climb down."""

from __future__ import annotations

import re

import torch

SAID = re.compile(r"out of memory|can't allocate memory|not enough memory|std::bad_alloc", re.IGNORECASE)


class OutOfMemory(RuntimeError):
    """The run does not fit; the message says what would."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host had no memory left. A CPU and MPS say it in words alone."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and SAID.search(str(error)) is not None

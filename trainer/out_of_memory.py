"""Recognition of out-of-memory errors."""

from __future__ import annotations

import re

import torch

SAID = re.compile(r"out of memory|can't allocate memory|not enough memory|std::bad_alloc", re.IGNORECASE)
"""The wording of errors of a CPU or MPS, which have no exception class of their own."""


class OutOfMemory(RuntimeError):
    """The run does not fit into memory; the message says what would help."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device or the host ran out of memory; CPU and MPS errors are recognised by their
    wording.
    """
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and SAID.search(str(error)) is not None

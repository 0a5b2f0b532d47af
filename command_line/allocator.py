"""A training frees and takes the same hundreds of megabytes in every step: glibc is told to keep them, in large pages.

It listens only when a process starts, so a training starts itself once more (figures: bench/README.md).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

TUNABLES = "GLIBC_TUNABLES"
"""https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html; others read it not."""
KEPT, LARGEST = 512 << 20, 64 << 20
"""Bytes: freed memory that is not given back; blocks that share it, while larger ones always are given back."""


def tuned() -> dict[str, str]:
    """What a training's environment has beside; nothing where the user has tuned, or where there is no such thing."""
    if sys.platform != "linux" or TUNABLES in os.environ:
        return {}
    said = {"hugetlb": 1, "trim_threshold": KEPT, "mmap_threshold": LARGEST}
    return {TUNABLES: ":".join(f"glibc.malloc.{name}={value}" for name, value in said.items())}


def restart_tuned(words: Sequence[str]) -> None:
    """Begin this process anew, tuned, where `words` say `train`: the same process number, words and streams."""
    if list(words[:1]) == ["train"] and (beside := tuned()) and sys.executable:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **beside})

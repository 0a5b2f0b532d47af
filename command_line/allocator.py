"""Full fine-tuning on a CPU frees and takes the same hundreds of megabytes in every step: glibc is told to keep them,
in large pages. It listens only when a process starts, so such a training starts itself once more.

Not for others: a LoRA gains little, a GPU's step nothing, and a base is read more slowly (figures: bench/README.md).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from .answer import say

TUNABLES = "GLIBC_TUNABLES"
"""https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html; others read it not."""
KEPT, LARGEST = 512 << 20, 64 << 20
"""Bytes: freed memory that is not given back; blocks that share it, while larger ones always are given back."""
LISTENS = ("glibc", (2, 35))
"""From this version on it knows all three."""
GPUS = ("nvidia[0-9]*", "dxg", "kfd")
"""What /dev has where torch finds a GPU; torch itself takes seconds to ask."""


def tuned(method: str | None, device: str | None) -> dict[str, str]:
    """What the environment of such a training has beside; nothing of any other, or where the user has tuned."""
    if (method, device) != ("full", "cpu") or TUNABLES in os.environ or not _listens():
        return {}
    said = {"hugetlb": 1, "trim_threshold": KEPT, "mmap_threshold": LARGEST}
    return {TUNABLES: ":".join(f"glibc.malloc.{name}={value}" for name, value in said.items())}


def restart_tuned(words: Sequence[str]) -> None:
    """Begin this process anew where `words` say such a training: the same process number, words and streams.

    What a configuration file says is not known yet, and does not count.
    """
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("--method", nargs="?")
    flags.add_argument("--device", nargs="?", default="cuda" if _has_gpu() else "cpu")
    said, _ = flags.parse_known_args(words)
    beside = tuned(said.method, said.device)
    if list(words[:1]) == ["train"] and beside and sys.executable:
        try:
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **beside})
        except OSError as error:
            say(f"The training goes on without tuned memory, a little slower: it could not be started anew ({error}).")


def _listens() -> bool:
    """Whether the C library is one that does, and another allocator, as webui.sh puts in, does not stand before it."""
    name, version = platform.libc_ver()
    numbers = tuple(int(number) for number in version.split(".")[:2] if number.isdigit())
    return name == LISTENS[0] and numbers >= LISTENS[1] and "malloc" not in os.environ.get("LD_PRELOAD", "")


def _has_gpu() -> bool:
    return any(any(Path("/dev").glob(pattern)) for pattern in GPUS)

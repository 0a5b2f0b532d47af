"""Full fine-tuning on a CPU frees and takes the same hundreds of megabytes in every step: glibc is told to keep them,
in large pages. It listens only when a process starts, so such a training starts itself once more.

Not for others: a LoRA gains little, a GPU's step nothing, and a base is read more slowly (figures: bench/README.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

TUNABLES = "GLIBC_TUNABLES"
"""https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html; others read it not."""
KEPT, LARGEST = 512 << 20, 64 << 20
"""Bytes: freed memory that is not given back; blocks that share it, while larger ones always are given back."""
GPUS = ("/dev/nvidia0", "/dev/kfd")
"""What Linux has where torch finds a GPU; torch itself takes seconds to ask."""


def tuned(method: str | None, device: str | None) -> dict[str, str]:
    """What the environment of such a training has beside; nothing of any other, or where the user has tuned."""
    if sys.platform != "linux" or TUNABLES in os.environ or (method, device) != ("full", "cpu"):
        return {}
    said = {"hugetlb": 1, "trim_threshold": KEPT, "mmap_threshold": LARGEST}
    return {TUNABLES: ":".join(f"glibc.malloc.{name}={value}" for name, value in said.items())}


def restart_tuned(words: Sequence[str]) -> None:
    """Begin this process anew where `words` say such a training: the same process number, words and streams.

    What a configuration file says is not known yet, and does not count.
    """
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("--method", nargs="?")
    flags.add_argument("--device", nargs="?", default="cuda" if any(Path(gpu).exists() for gpu in GPUS) else "cpu")
    said, _ = flags.parse_known_args(words)
    beside = tuned(said.method, said.device)
    if list(words[:1]) == ["train"] and beside and sys.executable:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **beside})

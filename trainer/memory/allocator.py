"""What glibc's allocator is told, so that freed memory is kept in large pages."""

from __future__ import annotations

import os
import platform

TUNABLES = "GLIBC_TUNABLES"
"""https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html; others read it not."""


KEPT, LARGEST = 512 << 20, 64 << 20
"""Bytes: freed memory that is not given back; blocks that share it, while larger ones always are given back."""


LISTENS = ("glibc", (2, 35))
"""From this version on it knows all three."""


def tuned(method: str | None, device: str | None) -> dict[str, str]:
    """What the environment of such a training has beside; nothing of any other, or where the user has tuned."""
    if (method, device) != ("full", "cpu") or TUNABLES in os.environ or not _listens():
        return {}
    said = {"hugetlb": 1, "trim_threshold": KEPT, "mmap_threshold": LARGEST}
    return {TUNABLES: ":".join(f"glibc.malloc.{name}={value}" for name, value in said.items())}


def _listens() -> bool:
    """Whether the C library is one that does, and another allocator, as webui.sh puts in, does not stand before it."""
    name, version = platform.libc_ver()
    numbers = tuple(int(number) for number in version.split(".")[:2] if number.isdigit())
    return name == LISTENS[0] and numbers >= LISTENS[1] and "malloc" not in os.environ.get("LD_PRELOAD", "")

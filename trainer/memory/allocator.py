"""Settings of glibc's memory allocator for training on a CPU: freed memory is kept, in large pages."""

from __future__ import annotations

import os
import platform

TUNABLES = "GLIBC_TUNABLES"
"""The environment variable that glibc reads:
https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html. Other C libraries ignore it.
"""
KEPT, LARGEST = 512 << 20, 64 << 20
"""Bytes of freed memory at the end of the heap that are kept, and the size in bytes up to which blocks come from the
heap; larger blocks are always returned to the system.
"""
LISTENS = ("glibc", (2, 35))
"""The C library and the version from which on it supports all three settings."""


def tuned(method: str | None, device: str | None) -> dict[str, str]:
    """The environment variables to add for a training by this method on this device; none unless it is full fine-tuning
    on a CPU with a suitable glibc, and none where the user has set them.
    """
    if (method, device) != ("full", "cpu") or TUNABLES in os.environ or not _listens():
        return {}
    said = {"hugetlb": 1, "trim_threshold": KEPT, "mmap_threshold": LARGEST}
    return {TUNABLES: ":".join(f"glibc.malloc.{name}={value}" for name, value in said.items())}


def _listens() -> bool:
    """Whether the C library supports the settings and no other allocator is preloaded in its place, as
    webui.sh does.
    """
    name, version = platform.libc_ver()
    numbers = tuple(int(number) for number in version.split(".")[:2] if number.isdigit())
    return name == LISTENS[0] and numbers >= LISTENS[1] and "malloc" not in os.environ.get("LD_PRELOAD", "")

"""Kill -9 from outside."""

from __future__ import annotations

import os
from collections.abc import Callable

from .forks import Child
from .points import Points

LATEST_AFTER_BOUNDARY = 0.02
"""Seconds."""
Death = Callable[[Child], None]


def wait(_: Child) -> None:
    """The child dies by itself."""


def killed_after(index: int, seconds: float) -> tuple[Points, Death]:
    """A kill so long after the child has said that it is at this point, however fast the machine is at the time."""
    ear, mouth = os.pipe()

    def say() -> None:
        os.write(mouth, b"!")

    def kill(child: Child) -> None:
        os.close(mouth)
        os.read(ear, 1)
        os.close(ear)
        child.kill_after(seconds)

    return Points(index, say), kill

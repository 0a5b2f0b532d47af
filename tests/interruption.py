"""Ctrl-C and SIGTERM end a run of the tests at once, with its summary, and whatever it started with it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_on_signals() -> None:
    """Let both raise KeyboardInterrupt in this process, at which pytest stops, tears down and writes its summary.

    Python alone dies of SIGTERM on the spot and leaves the hosts running, and a process that a shell starts in the
    background ignores SIGINT.
    """
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def main(words: Sequence[str]) -> int:
    """The command line in this process: its exit status.

    A command takes the signals for itself and ends in order. Raises KeyboardInterrupt where one has ended it.
    """
    from dreambooth_nodes.__main__ import main as run

    status = run(words)
    if status - 128 in SIGNALS:
        raise KeyboardInterrupt(signal.Signals(status - 128).name)
    return status


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)

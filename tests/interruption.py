"""Ctrl-C and SIGTERM end a run of the tests at once, with its summary, and whatever it started with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TEARDOWN_SECONDS = 120.0
"""That a worker of pytest-xdist is given to stop its hosts."""


class Interruption:
    """The pytest plugin: in the only process, in the one that distributes the tests, and in each of its workers."""

    def __init__(self) -> None:
        self._workers: list[Any] = []
        """xdist's WorkerController of each."""

    def pytest_sessionstart(self) -> None:
        """Take both signals."""
        end_on_signals()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node: Any) -> None:
        """A worker has started."""
        self._workers.append(node)

    def pytest_keyboard_interrupt(self) -> None:
        """Let the workers end as this process does. xdist alone would kill each after ten seconds, hosts or not."""
        if self._workers:
            for process in children(os.getpid()):
                _send(process, signal.SIGTERM)
        for worker in self._workers:
            with suppress(Exception):
                worker.channel.waitclose(TEARDOWN_SECONDS)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """End what a test has started itself, once fixtures are torn down."""
        if exitstatus == pytest.ExitCode.INTERRUPTED and not self._workers:
            for process in descendants(os.getpid()):
                _send(process, signal.SIGKILL)


def end_on_signals() -> None:
    """Let both raise KeyboardInterrupt in this process, at which pytest stops, tears down and writes its summary.

    Python alone dies of SIGTERM on the spot and leaves the hosts running, and a process that a shell starts in the
    background ignores SIGINT.
    """
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def children(process: int) -> list[int]:
    """The processes that a process has started; none where there is no Linux to tell them."""
    found = []
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, thread.read_text().split())
    return found


def descendants(process: int) -> Iterator[int]:
    """Its children, and theirs."""
    for child in children(process):
        yield from descendants(child)
        yield child


def main(words: Sequence[str]) -> int:
    """The command line in this process: its exit status.

    A command takes the signals for itself and ends in order. Raises KeyboardInterrupt where one has ended it.
    """
    from dreambooth_nodes.__main__ import main as run

    status = run(words)
    if status - 128 in SIGNALS:
        raise KeyboardInterrupt(signal.Signals(status - 128).name)
    return status


def _send(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    if "PYTEST_XDIST_WORKER" in os.environ:
        # A terminal tells a worker, and so does the process that distributes the tests: the second one would end
        # the teardown.
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)

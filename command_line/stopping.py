"""Ctrl-C and SIGTERM: the first stops in an orderly way, the second ends the process."""

from __future__ import annotations

import os
import time
from types import FrameType
from typing import Any

from ..trainer.operating_system import handle_signals, restore_signals, signal_name

ECHO = 2.0
"""Seconds within which a launcher passes on what a terminal has sent already."""
PATIENCE = b"\nstopping after this step; what was trained will be saved. Once more ends at once.\n"


class Stopped(BaseException):
    """A signal arrived where nothing has to be finished first. status: of the process, 128 + the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal_name(number)}")
        self.status = 128 + number


class StopSignals:
    """A context in which signals are caught; as a stop flag (call it), True once one has arrived.

    patient: False raises `Stopped` at once; True only raises the flag, for work that ends in a file, and for several
    processes, which stop together.
    """

    def __init__(self, several: bool = False) -> None:
        self.patient = self._echoed = several
        self.received: int | None = None
        self._at = 0.0
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.received is not None

    def __enter__(self) -> StopSignals:
        self._before = handle_signals(self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        restore_signals(self._before)

    @property
    def status(self) -> int:
        """The process's exit status: 0, or 128 + the signal."""
        return 0 if self.received is None else 128 + self.received

    def _arrived(self, number: int, _: FrameType | None) -> None:
        if self.received is not None:
            if self._echoed and time.monotonic() - self._at < ECHO:
                return
            os._exit(128 + number)
        self.received, self._at = number, time.monotonic()
        if not self.patient:
            raise Stopped(number)
        # print is not reentrant, and the bar may be in the middle of one.
        os.write(2, PATIENCE)

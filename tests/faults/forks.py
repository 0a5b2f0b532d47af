"""Work in forked children: the libraries and the base are there already, and a death costs its own work alone."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Work = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """answer: what the work returned, or the error that it raised as {"error", "kinds", "text"}; None: it died."""

    answer: dict[str, Any] | None
    signal: int
    seconds: float

    @property
    def faults(self) -> list[str]:
        """What kept the work from its end."""
        if self.answer is None:
            return [f"died of signal {self.signal}"]
        return [f"{self.answer['error']}: {self.answer['text']}"] if "error" in self.answer else []


class Child:
    """A forked process that does `work`. Its parent has one thread: a fork copies no other."""

    def __init__(self, work: Work) -> None:
        self.began = time.monotonic()
        self.ear, mouth = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(self.ear)
            _work(work, mouth)
        os.close(mouth)

    def kill_after(self, seconds: float) -> None:
        """A true kill -9 after so long, if it still lives."""
        time.sleep(seconds)
        os.kill(self.process, signal.SIGKILL)

    def outcome(self) -> Outcome:
        """Wait for its end."""
        with os.fdopen(self.ear, "rb") as stream:
            said = stream.read()
        _, status = os.waitpid(self.process, 0)
        seconds = time.monotonic() - self.began
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        whole = said.endswith(b"\n")
        return Outcome(json.loads(said) if whole else None, killed, seconds)


def in_child(work: Work) -> Outcome:
    """The outcome of `work` in a child."""
    return Child(work).outcome()


def raised(error: BaseException) -> dict[str, Any]:
    """An error as an answer."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return {
        "error": type(error).__name__,
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "text": str(error),
        "where": f"{last.filename}:{last.lineno}",
    }


def _work(work: Work, mouth: int) -> None:
    try:
        answer = work()
    except BaseException as error:
        answer = raised(error)
    os.write(mouth, json.dumps(answer).encode() + b"\n")
    # No cleaning up: a host that dies does none either.
    os._exit(0)

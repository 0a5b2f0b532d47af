"""The training process: the command line, followed by its event lines and stopped through its stdin.

In a process of its own the WebUI's patches of torch do not reach it, its memory is given back whole, and it can have
other libraries than the WebUI.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..install import libraries_of_our_own

LAUNCH = Path(__file__).with_name("launch_child.py")
SECONDS_BETWEEN_LOOKS = 0.2
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


class ChildFailed(RuntimeError):
    """The process ended without a result; the message says why, or the last that it said."""


class Child:
    """One command. Raises LibrariesMissing where neither the host's libraries will do nor there are our own."""

    def __init__(self, words: Sequence[str]) -> None:
        command = [sys.executable, str(LAUNCH), libraries_of_our_own(), *words]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **OFFLINE},
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._said: deque[str] = deque(maxlen=8)
        self._asked_to_stop = False
        self._threads = [threading.Thread(target=pump, daemon=True) for pump in (self._read_events, self._read_log)]
        for thread in self._threads:
            thread.start()

    def follow(self, tell: Callable[[dict[str, Any]], None], stop: Callable[[], bool]) -> None:
        """Hand on every event until the process ends; once `stop` is True, let it save and end. Raises ChildFailed."""
        failed = ""
        while True:
            if stop():
                self._stop()
            try:
                line = self._lines.get(timeout=SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                continue
            if line is None:
                break
            event = json.loads(line)
            if event["event"] == "failed":
                failed = event["text"]
            tell(event)
        status = self._process.wait()
        if failed or (status and not self._asked_to_stop):
            raise ChildFailed(failed or self._last_words(status))

    def end(self) -> None:
        """End the process if it still runs, saved or not."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(timeout=5)

    def _stop(self) -> None:
        if not self._asked_to_stop and self._process.stdin is not None:
            self._asked_to_stop = True
            try:
                self._process.stdin.write("stop\n")
                self._process.stdin.flush()
            except OSError:
                # It has just ended by itself.
                self._process.poll()

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _read_log(self) -> None:
        """Into the WebUI's console, and the last lines kept: they say why it failed."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line.rstrip())
            print(f"DreamBooth: {line}", end="", file=sys.stderr, flush=True)

    def _last_words(self, status: int) -> str:
        said = " ".join(line for line in self._said if line)
        return f"The training process ended with status {status}. Its last lines: {said or 'none'}"

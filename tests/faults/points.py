"""Where a run can die: before, in the middle of and after everything that it does to files, and where phases begin.

They are found by counting: a run that does not die says which there are.
"""

from __future__ import annotations

import os
import re
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from ...trainer.files import lazy_tensors

BOUNDARY = "boundary: "
KINDS = {
    r"state\.safetensors": "state",
    r"run\.json": "record",
    r"step_\d+_\d+\.png": "sample",
    r"\d{5}\.png": "class image",
    r"recipe\.json": "recipe",
    r"_step\d+_\d{5}\.safetensors": "file between",
    r"_\d{5}\.safetensors": "result",
    r"[0-9a-f]{24}\.json": "shapes",
}


def die_at_once() -> None:
    """No exit handler, no finally."""
    os._exit(9)


def kill_itself() -> None:
    """A true kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Points:
    """die_at: the number of the point to die at; None counts only. times: of each point, in seconds after the first."""

    die_at: int | None = None
    die: Callable[[], None] = die_at_once
    seen: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def reach(self, label: str) -> None:
        """The run is here."""
        self.seen.append(label)
        self.times.append(time.monotonic() - self._began)
        if self.die_at is not None and len(self.seen) - 1 == self.die_at:
            self.die()

    def begin(self, phase: str) -> None:
        """A phase begins here, for the n-th time."""
        before = sum(label.startswith(f"{BOUNDARY}{phase} ") for label in self.seen)
        self.reach(f"{BOUNDARY}{phase} {before + 1}")

    def watch(self) -> None:
        """Watch what this process does to files, until it ends."""
        for name in ("replace", "fsync", "unlink"):
            setattr(os, name, self._around(getattr(os, name), name))
        tempfile.mkstemp = self._around(tempfile.mkstemp, "mkstemp", last=True)
        lazy_tensors.save_tensors = self._around(lazy_tensors.save_tensors, "write", torn=1)
        Path.write_text = self._around(Path.write_text, "write", torn=0)  # type: ignore[method-assign]
        Image.Image.save = self._around(Image.Image.save, "write", torn=1)  # type: ignore[method-assign]

    def _around(self, call: Any, verb: str, torn: int | None = None, last: bool = False) -> Any:
        def watched(*values: Any, **named: Any) -> Any:
            what = f"{verb} {_kind(values, named, last)}"
            self.reach(f"before {what}")
            answer = call(*values, **named)
            if torn is not None and isinstance(values[torn], Path):
                self._tear(values[torn], what)
            self.reach(f"after {what}")
            return answer

        return watched

    def _tear(self, file: Path, what: str) -> None:
        if len(self.seen) == self.die_at and self.die in (die_at_once, kill_itself):
            os.truncate(file, file.stat().st_size // 2)
        self.reach(f"in the middle of {what}")


def _kind(values: tuple[Any, ...], named: dict[str, Any], temporary: bool) -> str:
    names = [*values, *named.values()]
    if values and isinstance(values[0], int):
        names = [Path(f"/proc/self/fd/{values[0]}").readlink()]
    text = " ".join(str(name) for name in names if isinstance(name, str | Path))
    found = [kind for pattern, kind in KINDS.items() if re.search(pattern, text)]
    return found[0] if found else "other"

"""A run's log: what it reported, a line each, with the seconds since its process began it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..events import Event, Phase, Planned, Resumed, Saved, Step, Tell, Warned

log = logging.getLogger(__name__)
LOG_EVERY_STEPS = 50


@dataclass
class RunLog:
    """The log in `path`, to which every process that trains the run adds."""

    path: Path
    _began: float = field(default_factory=time.perf_counter)

    def listening(self, tell: Tell) -> Tell:
        """A listener that writes every event into the log and passes it on."""

        def both(event: Event) -> None:
            if text := _line(event):
                self.add(text)
            tell(event)

        return both

    def add(self, text: str) -> None:
        """Add one line. A log that cannot be written does not end a training; the host's log says so."""
        line = f"{time.perf_counter() - self._began:9.1f} s  {' '.join(text.split())}\n"
        try:
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(line)
        except OSError as error:
            log.warning("The log of the run was not written: %s", error)

    def read(self) -> str:
        """All lines; "" without a log. Raises OSError."""
        return self.path.read_text(encoding="utf-8") if self.path.is_file() else ""


def _line(event: Event) -> str:
    """An event in words; "" for those that are not logged."""
    match event:
        case Phase():
            return event.name
        case Planned():
            return event.text
        case Warned():
            return f"warning: {event.text}"
        case Resumed():
            return f"resumed after step {len(event.points)}"
        case Saved():
            return f"saved {event.path.name}"
        case Step() if event.step in (1, event.steps) or event.step % LOG_EVERY_STEPS == 0:
            prior = "" if event.prior is None else f", prior {event.prior:.4f}"
            return (
                f"step {event.step} of {event.steps}: loss {event.instance:.4f}{prior}, gradient norm "
                f"{event.gradient_norm:.3g}, {event.steps_per_second:.2f} steps/s"
            )
    return ""

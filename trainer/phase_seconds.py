"""The phases of a run as they begin, and the time that each has taken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .events import Phase, PhaseName, Tell


@dataclass
class PhaseSeconds:
    """seconds: by phase; what a phase inside another takes counts in both."""

    tell: Tell
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def during(self, name: PhaseName) -> Iterator[None]:
        """A phase lasts as long as this context."""
        self.tell(Phase(name))
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

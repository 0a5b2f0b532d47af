"""What a page that opens in mid-run has to know: everything told so far, small enough to be sent at once."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from ..events import Event, Phase, Planned, PriorsCounted, Resumed, Sample, Saved, Step, Warned
from ..wording import sentence_and_values
from .personalized import Personalized
from .run import Run

MOST_POINTS = 1000
"""Losses kept for a chart; past that every second one goes, so that the whole run stays in view."""

Point = tuple[int, float, float | None]
"""Step, instance loss, prior loss."""


@dataclass
class LiveRun:
    """The state of one run as its events leave it, ready for JSON by `state`."""

    phase: str = "loading"
    status: str = "running"
    step: int = 0
    steps: int = 0
    steps_per_second: float = 0.0
    seconds_left: float = 0.0
    points: list[Point] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    plan: str = ""
    warnings: list[list[str]] = field(default_factory=list)
    """Each as `wording.parts` gives it."""
    priors: dict[str, int] | None = None
    file: str | None = None
    resumed: int = 0
    """Steps that were trained before; the run goes on after them."""
    _every: int = 1

    def hear(self, event: Event) -> None:
        """Take one event in."""
        match event:
            case Phase():
                self.phase = event.name
            case Step():
                self._show_step(event)
            case Sample():
                self.samples.append({"step": event.step, "text": event.prompt, "count": len(event.images)})
            case Resumed():
                self.resumed = len(event.points)
                for point in event.points:
                    self._show_step(point)
            case Saved():
                self.file = event.path.name
                if event.last:
                    self.phase = "finished"
                    self.status = "finished" if self.step == self.steps else "stopped"
            case Planned() | Warned():
                self._say(event)
            case PriorsCounted():
                self.priors = asdict(event)

    def ending(self) -> dict[str, str]:
        """phase and status alone."""
        return {"phase": self.phase, "status": self.status}

    def state(self) -> dict[str, Any]:
        """Ready for JSON; numbers that are none (NaN, infinity) are None."""
        fields = {name: value for name, value in asdict(self).items() if not name.startswith("_")}
        fields["points"] = [tuple(map(finite, point)) for point in self.points]
        return {**fields, "seconds_left": finite(self.seconds_left)}

    def _say(self, event: Planned | Warned) -> None:
        if isinstance(event, Planned):
            self.plan = event.text
        else:
            self.warnings.append(sentence_and_values(event.text))

    def _show_step(self, event: Step) -> None:
        """Progress, and a point of the loss curve; every other point goes where they become too many."""
        self.phase, self.step, self.steps = "training", event.step, event.steps
        self.steps_per_second, self.seconds_left = event.steps_per_second, event.seconds_left
        if (event.step - 1) % self._every:
            return
        self.points.append((event.step, event.instance, event.prior))
        if len(self.points) > MOST_POINTS:
            del self.points[1::2]
            self._every *= 2


def live_of(run: Run, result: Personalized) -> LiveRun:
    """The state of a run that is finished already, from what it left on disk."""
    live = LiveRun()
    for step in run.losses():
        live.hear(step)
    pictures = Counter(int(file.stem.split("_")[1]) for file in (run.folder / "samples").glob("step_*_*.png"))
    live.samples = [{"step": step, "text": "", "count": count} for step, count in sorted(pictures.items())]
    live.hear(Saved(result.file))
    return live


def finite(value: float | None) -> float | None:
    """JSON knows no NaN: a browser refuses the whole message."""
    return value if value is None or math.isfinite(value) else None

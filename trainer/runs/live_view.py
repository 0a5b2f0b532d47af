"""The state of a run in progress for a web page that opens meanwhile: all events so far, small enough for
one message.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from ..events import Event, Phase, Planned, PriorsCounted, Resumed, Sample, Saved, Scored, Step, Validated, Warned
from ..wording import sentence_and_values
from .personalized import Personalized
from .run import Run

MOST_POINTS = 1000
"""The number of losses kept for a chart; beyond it every second one is dropped, so that the chart shows the
whole run.
"""

Point = tuple[int, float, float | None]
"""Step, instance loss, prior loss."""


@dataclass
class LiveRun:
    """The state of one run, updated by its events; `state` returns it for JSON."""

    phase: str = "loading"
    status: str = "running"
    step: int = 0
    steps: int = 0
    steps_per_second: float = 0.0
    seconds_left: float = 0.0
    points: list[Point] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    """The fields of each `Scored`, by step."""
    validation: list[dict[str, Any]] = field(default_factory=list)
    """The fields of each `Validated`, by step."""
    plan: str = ""
    warnings: list[list[str]] = field(default_factory=list)
    """Each as `wording.sentence_and_values` returns it."""
    priors: dict[str, int] | None = None
    file: str | None = None
    result_step: int | None = None
    """The step that the result is of, where it was looked up or chosen after the run; None: as the scores say."""
    resumed: int = 0
    """The number of steps that were trained before the run was resumed."""
    _every: int = 1

    def on_event(self, event: Event) -> None:
        """Update the state by one event."""
        match event:
            case Phase():
                self.phase = event.name
            case Step():
                self._show_step(event)
            case Sample():
                self.samples.append({"step": event.step, "text": event.prompt, "count": len(event.images)})
            case Scored() | Validated() | Resumed():
                self._show_curves(event)
            case Saved():
                self.file = event.path.name
                if event.last:
                    self.phase = "finished"
                    self.status = "finished" if event.ended_early or self.step == self.steps else "stopped"
            case Planned() | Warned():
                self._say(event)
            case PriorsCounted():
                self.priors = asdict(event)

    def ending(self) -> dict[str, str]:
        """The phase and status alone."""
        return {"phase": self.phase, "status": self.status}

    def state(self) -> dict[str, Any]:
        """All public fields, ready for JSON, with None for values that are not finite."""
        fields = {name: value for name, value in asdict(self).items() if not name.startswith("_")}
        fields["points"] = [tuple(map(finite, point)) for point in self.points]
        return {**fields, "seconds_left": finite(self.seconds_left)}

    def _say(self, event: Planned | Warned) -> None:
        """Keep the text of a plan or a warning."""
        if isinstance(event, Planned):
            self.plan = event.text
        else:
            self.warnings.append(sentence_and_values(event.text))

    def _show_curves(self, event: Scored | Validated | Resumed) -> None:
        """Add scores or a validation loss, in place of those of the same or a later step, or the points of a resumed
        run.
        """
        if isinstance(event, Scored):
            self.scores = [one for one in self.scores if one["step"] < event.step] + [finite_fields(event)]
            return
        if isinstance(event, Validated):
            self.validation = [one for one in self.validation if one["step"] < event.step] + [finite_fields(event)]
            return
        self.resumed = len(event.points)
        for point in event.points:
            self._show_step(point)

    def _show_step(self, event: Step) -> None:
        """Update the progress, and add a point to the loss curve; every other point is dropped where they become too
        many.
        """
        self.phase, self.step, self.steps = "training", event.step, event.steps
        self.steps_per_second, self.seconds_left = event.steps_per_second, event.seconds_left
        if (event.step - 1) % self._every:
            return
        self.points.append((event.step, event.instance, event.prior))
        if len(self.points) > MOST_POINTS:
            del self.points[1::2]
            self._every *= 2


def live_of(run: Run, result: Personalized) -> LiveRun:
    """The state of a run that has ended, from its files."""
    live = LiveRun()
    for step in run.losses():
        live.on_event(step)
    pictures = Counter(int(file.stem.split("_")[1]) for file in (run.folder / "samples").glob("step_*_*.png"))
    live.samples = [{"step": step, "text": "", "count": count} for step, count in sorted(pictures.items())]
    measured: list[Scored | Validated] = [*run.scores(), *run.validation()]
    for point in measured:
        live.on_event(point)
    live.result_step = result.steps
    live.on_event(Saved(result.file, ended_early=run.record.get("status") == "finished"))
    return live


def finite_fields(event: Scored | Validated) -> dict[str, Any]:
    """The fields of scores or of a validation loss, ready for JSON."""
    return {name: finite(value) for name, value in asdict(event).items()}


def finite(value: float | None) -> float | None:
    """The value, or None where it is not finite: JSON has no NaN, and a browser rejects a message that holds one."""
    return value if value is None or math.isfinite(value) else None

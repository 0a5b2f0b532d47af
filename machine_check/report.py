"""The report of a check: for people to paste, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .apple import LIMITS
from .outcome import DOES_NOT_FIT, FAILED, NOT_OFFERED, NOT_RUN, WITHIN, WORKS, Outcome

STEPS_OF_A_RUN = 800
"""Of the preset that is the default."""


@dataclass(frozen=True)
class Report:
    """What a check found. small: whether its models were small. seconds: of all of it."""

    machine: dict[str, Any]
    dtypes: list[Outcome]
    run: list[Outcome]
    trials: list[Outcome]
    small: bool
    seconds: float

    @property
    def all(self) -> list[Outcome]:
        """Every outcome."""
        return [*self.dtypes, *self.run, *self.trials]

    @property
    def failed(self) -> bool:
        """Whether a part failed; one that does not fit, is not offered or was not run has not."""
        return any(one.status == FAILED for one in self.all)

    @property
    def verdict(self) -> str:
        """One sentence: whether this machine trains, and how fast."""
        works = [one for one in self.trials if one.status == WORKS]
        if not works or any(one.status != WORKS for one in self.run):
            return "This machine does not train as it is: see what failed below."
        first = works[0]
        minutes = STEPS_OF_A_RUN / (first.steps_per_second or 1) / 60
        if self.small:
            speed = f"{first.steps_per_second:.1f} steps/s on a small model; real models were not tried"
        else:
            speed = f"{first.name}: {STEPS_OF_A_RUN} steps take about {minutes:.0f} min"
        wrong = f" {sum(one.status == FAILED for one in self.all)} parts failed." if self.failed else ""
        return f"This machine trains. {speed}.{wrong}"

    def record(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "verdict": self.verdict,
            "failed": self.failed,
            "small": self.small,
            "seconds": self.seconds,
            "machine": self.machine,
            **{name: [one.record() for one in getattr(self, name)] for name in ("dtypes", "run", "trials")},
        }

    def text(self) -> str:
        """For people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self.verdict
        yield ""
        yield from _machine_lines(self.machine)
        yield ""
        yield from (_plain(one) for one in (*self.dtypes, *self.run))
        yield ""
        yield f"{'training':44}{'steps/s':>8}{'GB':>10}{'planned':>10}  picture  notes"
        yield from map(_row, self.trials)
        yield ""
        yield from self._footnotes()

    def _footnotes(self) -> Iterator[str]:
        kind = _memory_kind(self.machine)
        yield f"GB: the most memory of {kind}; planned: what the memory plan counts. Random weights."
        yield f"picture: seconds of one of four steps. The check took {self.seconds:.0f} s."
        if self.machine["device_type"] == "mps":
            yield from (f"On Apple's GPUs, {what}: {instead}." for what, instead in LIMITS.items())
        off = [one for one in self.trials if one.ratio is not None and abs(one.ratio - 1) > WITHIN]
        if off and self.machine["device_type"] != "mps":
            names = "; ".join(f"{one.name} {one.ratio:.2f}" for one in off)
            yield f"Measured memory is more than {WITHIN:.0%} from the plan's count: {names}."


def _memory_kind(machine: dict[str, Any]) -> str:
    """Whose memory the report's figures are of, for people."""
    if machine["device_type"] == "cuda":
        return "the GPU in tensors"
    return "a training's steps, in tensors" if machine["device_type"] == "cpu" else "the GPU"


def _machine_lines(machine: dict[str, Any]) -> Iterator[str]:
    gpu = machine["device_memory"]
    held = f"{gpu / 1e9:.1f} GB, " if gpu else ""
    cuda = f", CUDA {machine['cuda']}, capability {machine['capability']}" if machine["capability"] else ""
    yield f"device: {machine['device']} ({held}{machine['free'] / 1e9:.1f} GB free{cuda})"
    yield f"cpu: {machine['cpu']}, {machine['memory'] / 1e9:.1f} GB"
    yield f"fastest precision: {machine['precision']}"
    yield ", ".join(f"{name} {version}" for name, version in machine["versions"].items())


def _plain(one: Outcome) -> str:
    return f"{one.name}: {one.status}{f' ({one.text})' if one.text else ''}"


def _row(one: Outcome) -> str:
    if one.status in (FAILED, DOES_NOT_FIT, NOT_OFFERED, NOT_RUN):
        return f"{one.name:44}{one.status}: {one.text}"
    peak, counted = (f"{(value or 0) / 1e9:.3g}" for value in (one.peak, one.counted))
    picture = "" if one.sample_seconds is None else f"{one.sample_seconds:.1f} s"
    return f"{one.name:44}{one.steps_per_second:8.2f}{peak:>10}{counted:>10}  {picture:>7}  {one.text}"

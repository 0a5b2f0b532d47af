"""What a run tells, on stderr: phases by name, and a bar with losses and speed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NoReturn, Protocol

from tqdm import tqdm

from ..trainer.events import Event, Phase, Planned, Resumed, Saved, Scored, Step, Validated, Warned
from .stopping import StopSignals

SECONDS_BETWEEN_LINES = 0.2 if sys.stderr.isatty() else 2.0
"""A log keeps every redrawing of a bar."""

Bar = Callable[[int, str], AbstractContextManager[Callable[[int], object]]]
"""(how many there are, of what) → a context that gives a function to call with the number of those just done."""


class Listener(Protocol):
    """Whoever follows `train`: a person at a terminal, or a program."""

    def __call__(self, event: Event) -> None:
        """What `personalize` tells."""

    def bar(self, total: int, what: str) -> AbstractContextManager[Callable[[int], object]]:
        """See `Bar`."""


@contextmanager
def terminal_bar(total: int, what: str) -> Iterator[Callable[[int], object]]:
    """A bar on stderr."""
    with tqdm(total=total, desc=what, mininterval=SECONDS_BETWEEN_LINES, file=sys.stderr) as bar:
        yield bar.update


class Silence:
    """The listener of a process beside the first one, which says nothing."""

    def __call__(self, event: Event) -> None:
        """Say nothing of an event."""

    @contextmanager
    def bar(self, total: int, what: str) -> Iterator[Callable[[int], object]]:
        """No bar."""
        yield lambda done: None


class Progress:
    """A listener for `personalize`. From the first step on, `stop` waits for the file."""

    def __init__(self, stop: StopSignals) -> None:
        self._stop = stop
        self._bar: tqdm[NoReturn] | None = None
        self.bar = terminal_bar

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Phase():
                self._phase(event)
            case Step():
                self._step(event)
            case Resumed():
                tqdm.write(f"going on after step {len(event.points)}", file=sys.stderr)
            case Planned():
                tqdm.write(event.text, file=sys.stderr)
            case Warned():
                tqdm.write(f"warning: {event.text}", file=sys.stderr)
            case Scored():
                tqdm.write(_scores(event), file=sys.stderr)
            case Validated():
                tqdm.write(_validation(event), file=sys.stderr)
            case Saved():
                tqdm.write(f"saved {event.path}", file=sys.stderr)

    def _phase(self, phase: Phase) -> None:
        if phase.name == "training":
            self._stop.patient = True
        if phase.name == "saving":
            self._close()
        tqdm.write(phase.name, file=sys.stderr)

    def _step(self, step: Step) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=step.steps, desc="steps", mininterval=SECONDS_BETWEEN_LINES, miniters=1, file=sys.stderr
            )
        self._bar.set_postfix(_losses(step), refresh=False)
        self._bar.update(step.step - self._bar.n)
        if step.step == step.steps:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _losses(step: Step) -> dict[str, str]:
    prior = {} if step.prior is None else {"prior": f"{step.prior:.4f}"}
    return {"loss": f"{step.instance:.4f}", **prior}


def _scores(event: Scored) -> str:
    returns = "" if event.returns_photo is None else f", returns the photo {event.returns_photo:.0%}"
    return (
        f"step {event.step}: likeness {event.likeness:.3f}, prompt following {event.prompt_following:.3f}, class leak "
        f"{event.class_leak:.3f}, variety {event.variety:.3f}{returns}; the result so far is step {event.chosen or '-'}"
    )


def _validation(event: Validated) -> str:
    return (
        f"step {event.step}: validation loss {event.loss:.4f}, base {event.base:.4f}, difference "
        f"{event.loss - event.base:+.4f} ± {event.error:.4f}"
    )

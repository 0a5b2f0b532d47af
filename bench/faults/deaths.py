"""Deaths of a run, and the same run again after each: it must end as the one that never stopped."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .disk import Reference, after_death, at_the_end, contents, everything, left_over, reference
from .forks import Child, in_child
from .points import BOUNDARY, Points, die_at_once, kill_itself
from .row import Row
from .setting import Setting, train

LATEST_AFTER_BOUNDARY = 0.02
PHASES = ("class images", "encoding", "training", "sampling", "saving", "after saving")
Death = Callable[[Child], None]


def wait(_: Child) -> None:
    """The child dies by itself."""


@dataclass
class Deaths:
    """The run that never stopped, and every way to die on it."""

    setting: Setting
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    leftovers: int = 0
    again: int = 0

    def begin(self) -> Row:
        """Train the run that never stops, counting its points; and twice, so that it is known to be one run."""
        row = Row("runs that never stop")
        for name in ("reference", "reference again"):
            store = self.setting.store(name)
            outcome = in_child(lambda store=store: self._counted(store))
            if outcome.answer is None or outcome.faults:
                raise RuntimeError(f"the run that never stops did not end: {outcome.faults}")
            if name == "reference":
                self.seconds, self.points = outcome.seconds, outcome.answer["points"]
                self.against: Reference = reference(self.setting.key(store), store, outcome.answer["losses"])
            row.add(name, at_the_end(store, self.against, outcome.answer, {}))
        row.notes.append(f"{len(self.points)} points to die at, {len(self.boundaries)} of them boundaries of phases")
        return row

    @property
    def boundaries(self) -> list[str]:
        """Where phases begin and end."""
        return [point for point in self.points if point.startswith(BOUNDARY)]

    def at_boundaries(self, times: int) -> Row:
        """At each so many times: on it, at the next things that are done to files, and by a kill a moment later."""
        row = Row(f"deaths at every boundary of phases, {times} at each")
        for phase in PHASES:
            found = [label for label in self.boundaries if label.startswith(f"{BOUNDARY}{phase} ")]
            for number in range(times):
                boundary = found[number % len(found)]
                self._die(row, f"{boundary} ({number})", *self._at(boundary, number))
        return self._noted(row)

    def at_points(self, every: int = 1) -> Row:
        """Once before, in the middle of and after everything that is done to a file."""
        row = Row("deaths before, in and after every write, sync and rename")
        for index, label in list(enumerate(self.points))[::every]:
            self._die(row, f"{index} {label}", Points(index, kill_itself if index % 2 else die_at_once), wait)
        return self._noted(row)

    def at_random(self, times: int) -> Row:
        """Kill -9 from outside, at random moments."""
        row = Row("kill -9 at random moments")
        for number in range(times):
            moment = self.chance.uniform(0, self.seconds)
            self._die(row, f"{number} after {moment:.3f} s", Points(), lambda child, s=moment: child.kill_after(s))
        return self._noted(row)

    def twice(self, times: int) -> Row:
        """A second death while the run goes on after the first."""
        row = Row("kill -9 at random moments, and again of the run that goes on")
        for number in range(times):
            moments = [self.chance.uniform(0.2, 1) * self.seconds for _ in range(2)]
            deaths = [lambda child, s=moment: child.kill_after(s) for moment in moments]
            self._die(row, f"{number} after {moments} s", Points(), *deaths)
        return self._noted(row)

    def _at(self, boundary: str, number: int) -> tuple[Points, Death]:
        if number % 3 == 0:
            return Points(number // 3, die_at_once, boundary), wait
        if number % 3 == 1:
            return Points(number // 3, kill_itself, boundary), wait
        ear, mouth = os.pipe()
        moment = self.chance.uniform(0, LATEST_AFTER_BOUNDARY)

        def kill(child: Child) -> None:
            os.close(mouth)
            os.read(ear, 1)
            os.close(ear)
            child.kill_after(moment)

        return Points(None, die_at_once, boundary, lambda: _say(mouth)), kill

    def _die(self, row: Row, what: str, points: Points, *deaths: Death) -> None:
        store = self.setting.store("death")
        shutil.rmtree(store.work.parent, ignore_errors=True)
        faults: list[str] = []
        for death in deaths:
            child = Child(lambda: self._watched(store, points))
            death(child)
            child.outcome()
            faults += after_death(store, self.against)
            points = Points()
        before = contents(store)
        self.leftovers = max(self.leftovers, left_over(store))
        self._an_hour_passes()
        outcome = in_child(lambda: train(self.setting, store))
        faults += outcome.faults
        if outcome.answer is not None and not outcome.faults:
            faults += at_the_end(store, self.against, outcome.answer, before)
        self.again += len(contents(store)) - len(self.against.tensors)
        row.add(what, faults)

    def _an_hour_passes(self) -> None:
        """Class images have no lock: what is not whole is removed after an hour."""
        for file in everything(self.setting.store("death").work / "priors"):
            os.utime(file, (time.time() - 4000,) * 2)

    def _counted(self, store: object) -> dict[str, object]:
        return self._watched(store, Points())

    def _watched(self, store: object, points: Points) -> dict[str, object]:
        points.watch()
        return train(self.setting, store, points)  # type: ignore[arg-type]

    def _noted(self, row: Row) -> Row:
        row.notes.append(f"at most {self.leftovers / 1e6:.2f} MB of temporary files, removed by the next run")
        if self.again:
            row.notes.append(f"{self.again} whole files written a second time, under another number")
        self.leftovers = self.again = 0
        return row


def _say(mouth: int) -> None:
    os.write(mouth, b"!")


def rows(setting: Setting, small: bool) -> Iterator[Callable[[], Row]]:
    """Every row of deaths; they share the run that never stops."""
    deaths = Deaths(setting)
    yield deaths.begin
    if small:
        yield lambda: deaths.at_boundaries(1)
        yield lambda: deaths.at_random(5)
        return
    yield lambda: deaths.at_random(100)
    yield deaths.at_points
    yield lambda: deaths.twice(20)
    yield lambda: deaths.at_boundaries(30)

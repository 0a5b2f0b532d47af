"""Deaths of a run, and the same run again after each: it must end as the one that never stopped."""

from __future__ import annotations

import os
import random
import shutil
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ...trainer.runs.store import Store
from .disk import Reference, after_death, at_the_end, contents, everything, left_over, reference, written_again
from .forks import Child, in_child
from .killing import LATEST_AFTER_BOUNDARY, Death, killed_after, wait
from .points import BOUNDARY, Points, die_at_once, kill_itself
from .row import Row
from .setting import Setting, train

PHASES = ("class images", "encoding", "training", "sampling", "saving", "after saving")


@dataclass
class Deaths:
    """The run that never stopped, and every way to die on it."""

    setting: Setting
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    leftovers: int = 0
    late: int = 0
    """Runs that had ended before a kill came: of the last row."""

    def begin(self) -> Row:
        """Train the run that never stops, counting its points; and twice, so that it is known to be one run."""
        row = Row("runs that never stop")
        for name in ("reference", "reference again"):
            store = self.setting.store(name)
            outcome = in_child(partial(self._watched, store, Points()))
            if outcome.answer is None or outcome.faults:
                raise RuntimeError(f"the run that never stops did not end: {outcome.faults}")
            if name == "reference":
                self.points, self.times = outcome.answer["points"], outcome.answer["times"]
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
                self._die(row, f"{boundary} ({number})", self._at(self.points.index(boundary), number))
        return self._noted(row)

    def at_points(self) -> Row:
        """Once before, in the middle of and after everything that is done to a file."""
        row = Row("deaths before, in and after every write, sync and rename")
        for index, label in enumerate(self.points):
            self._die(row, f"{index} {label}", (Points(index, kill_itself if index % 2 else die_at_once), wait))
        return self._noted(row)

    def at_random(self, times: int) -> Row:
        """Kill -9 from outside, at random moments."""
        row = Row("kill -9 at random moments")
        while row.count - self.late < times:
            self._die(row, str(row.count), self._random(len(self.points)))
        return self._noted(row)

    def twice(self, times: int) -> Row:
        """A second death while the run goes on after the first."""
        row = Row("kill -9 at random moments, and again of the run that goes on")
        while row.count - self.late < times:
            first = self._random(len(self.points))
            # The run that goes on has about as many points before its end as were left, and one at least.
            left = len(self.points) - (first[0].die_at or 0)
            self._die(row, str(row.count), first, self._random(max(1, left // 2)))
        return self._noted(row)

    def _at(self, index: int, number: int) -> tuple[Points, Death]:
        if number % 3 == 2:
            return killed_after(index, self.chance.uniform(0, LATEST_AFTER_BOUNDARY))
        later = number // 3 % (len(self.points) - index)
        return Points(index + later, die_at_once if number % 3 == 0 else kill_itself), wait

    def _random(self, points: int) -> tuple[Points, Death]:
        """A moment of the time that a run takes, told by the last of the first so many points before it."""
        moment = self.chance.uniform(self.times[0], self.times[points - 1])
        index = bisect(self.times, moment) - 1
        return killed_after(index, moment - self.times[index])

    def _die(self, row: Row, what: str, *deaths: tuple[Points, Death]) -> None:
        store = self.setting.store("death")
        shutil.rmtree(store.work.parent, ignore_errors=True)
        faults: list[str] = []
        died: list[bool] = []
        for points, death in deaths:
            child = Child(partial(self._watched, store, points))
            death(child)
            died.append(child.outcome().answer is None)
            faults += after_death(store, self.against)
        self.late += not all(died)
        before = contents(store)
        self.leftovers = max(self.leftovers, left_over(store))
        self._an_hour_passes()
        outcome = in_child(lambda: train(self.setting, store))
        faults += outcome.faults
        if outcome.answer is not None and not outcome.faults:
            faults += at_the_end(store, self.against, outcome.answer, before) + written_again(store)
        row.add(what, faults)

    def _an_hour_passes(self) -> None:
        """Class images have no lock: what is not whole is removed after an hour."""
        for file in everything(self.setting.store("death").work / "priors"):
            os.utime(file, (time.time() - 4000,) * 2)

    def _watched(self, store: Store, points: Points) -> dict[str, Any]:
        points.watch()
        return train(self.setting, store, points)

    def _noted(self, row: Row) -> Row:
        row.notes.append(f"at most {self.leftovers / 1e6:.2f} MB of temporary files, removed by the next run")
        if self.late:
            row.notes.append(f"{self.late} had ended when a kill came, and are no deaths")
        self.leftovers = self.late = 0
        return row


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

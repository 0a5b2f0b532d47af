"""Two processes on one output folder: two runs of one name, and one run twice."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .disk import Reference, at_the_end, listed, reference
from .forks import Child, in_child
from .row import Row
from .setting import Setting, train

SECONDS_APART = 1.0


def rows(setting: Setting, small: bool) -> Iterator[Callable[[], Row]]:
    """Two rows."""
    times = 1 if small else 6
    chance = random.Random(0)
    yield lambda: _two_runs(setting, times, chance)
    yield lambda: _one_run_twice(setting, times, chance)


def _two_runs(setting: Setting, times: int, chance: random.Random) -> Row:
    row = Row("two runs of one name at once")
    both = [setting, setting.with_options(seed=1)]
    against = [_reference(one, f"alone {index}") for index, one in enumerate(both)]
    store = setting.store("two jobs")
    for number in range(times):
        answers = _at_once(both, chance)
        faults = [answer["text"] for answer in answers if "error" in answer]
        if not faults:
            faults = [fault for pair in zip(against, answers, strict=True) for fault in _mixed(*pair)]
            if len(listed(store.loras)) != 4 or answers[0]["file"] == answers[1]["file"]:
                faults.append(f"the files are {[file.name for file in listed(store.loras)]}")
        row.add(str(number), faults)
    return row


def _mixed(against: Reference, answer: dict[str, Any]) -> list[str]:
    faults = [] if against.losses == answer["losses"] else ["the losses are mixed"]
    return faults + against.faults_of(Path(answer["file"]))


def _one_run_twice(setting: Setting, times: int, chance: random.Random) -> Row:
    row = Row("one run twice at once")
    against = _reference(setting, "alone")
    store = setting.store("two jobs")
    for number in range(times):
        answers = _at_once([setting, setting], chance)
        errors = [answer["error"] for answer in answers if "error" in answer]
        done = [answer for answer in answers if "error" not in answer]
        faults = [] if errors in ([], ["RunInUse"]) else [f"the errors are {errors}"]
        for answer in done:
            faults += at_the_end(store, against, answer, {})
        if len(listed(store.loras)) != 2 or not done:
            faults.append(f"{len(listed(store.loras))} files, {len(done)} done")
        row.add(str(number), faults)
    return row


def _at_once(both: list[Setting], chance: random.Random) -> list[dict[str, Any]]:
    store = both[0].store("two jobs")
    shutil.rmtree(store.work.parent, ignore_errors=True)
    apart = chance.uniform(0, SECONDS_APART)
    first = Child(lambda: train(both[0], store))
    time.sleep(apart)
    second = Child(lambda: train(both[1], store))
    return [child.outcome().answer or {"error": "death", "text": "died"} for child in (first, second)]


def _reference(setting: Setting, name: str) -> Reference:
    store = setting.store(name)
    answer = in_child(lambda: train(setting, store)).answer or {}
    return reference(setting.key(store), store, answer["losses"])

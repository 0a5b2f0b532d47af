"""The state that a page opening in mid-run is given."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.trainer.events import Phase, PriorsCounted, Sample, Saved, Scored, Step, Warned
from dreambooth_nodes.trainer.runs.live_view import MOST_POINTS, LiveRun


def step(number: int, steps: int, prior: float | None = 0.5, left: float = 1.0) -> Step:
    return Step(number, steps, 1 / number, prior, 1e-4, 2.0, left, 1.0)


def test_everything_told_is_in_the_state() -> None:
    live = LiveRun()
    told = [
        PriorsCounted(8, 2, 4), Phase("training"), step(1, 2), Warned("The loss does not move."),
        Sample(1, "a mdt dog", torch.zeros(2, 3, 8, 8)), step(2, 2, None), Saved(Path("a/b.safetensors")),
    ]  # fmt: skip
    for event in told:
        live.on_event(event)
    state = json.loads(json.dumps(live.state(), allow_nan=False))
    assert state["points"] == [[1, 1.0, 0.5], [2, 0.5, None]]
    assert state["samples"] == [{"step": 1, "text": "a mdt dog", "count": 2}]
    assert (state["status"], state["phase"], state["file"]) == ("finished", "finished", "b.safetensors")
    assert (state["warnings"], state["priors"]) == (
        [["The loss does not move."]],
        {"asked": 8, "reused": 2, "drawn": 4},
    )


def test_a_step_after_a_sample_is_training_again() -> None:
    live = LiveRun()
    for event in (Phase("training"), step(1, 3), Phase("sampling"), step(2, 3)):
        live.on_event(event)
    assert live.phase == "training"


def test_a_file_saved_before_the_last_step_is_of_a_stopped_run() -> None:
    live = LiveRun()
    live.on_event(step(3, 10))
    live.on_event(Saved(Path("b.safetensors")))
    assert live.status == "stopped"


def test_scores_are_in_the_state_and_those_of_repeated_steps_are_replaced() -> None:
    live = LiveRun()
    for number, likeness in ((100, 0.5), (200, 0.6), (100, 0.5), (200, math.nan)):
        live.on_event(Scored(number, likeness, 0.9, 0.1, 0.4, None, 100))
    scores = json.loads(json.dumps(live.state(), allow_nan=False))["scores"]
    assert [(one["step"], one["likeness"], one["chosen"]) for one in scores] == [(100, 0.5, 100), (200, None, 100)]


def test_a_run_that_its_scores_end_is_finished() -> None:
    live = LiveRun()
    live.on_event(step(3, 10))
    live.on_event(Saved(Path("b.safetensors"), ended_early=True))
    assert live.status == "finished"


@pytest.mark.parametrize("steps", [10, MOST_POINTS + 1, 5 * MOST_POINTS])
def test_a_long_run_is_thinned_evenly_and_stays_in_view_whole(steps: int) -> None:
    live = LiveRun()
    for number in range(1, steps + 1):
        live.on_event(step(number, steps))
    numbers = [point[0] for point in live.points]
    gaps = {later - earlier for earlier, later in itertools.pairwise(numbers)}
    assert numbers[0] == 1
    assert len(gaps) == 1
    assert len(numbers) <= MOST_POINTS
    assert steps - numbers[-1] < next(iter(gaps))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_number_that_json_does_not_know_is_sent(bad: float) -> None:
    live = LiveRun()
    live.on_event(Step(1, 2, bad, bad, 1e-4, 1.0, bad, 1.0))
    assert json.loads(json.dumps(live.state(), allow_nan=False))["points"] == [[1, None, None]]

"""A run that was stopped or died goes on to the very weights of one that never stopped."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest
from filelock import FileLock

from dreambooth_nodes.tests.trainer.short_runs import (
    DEATH,
    STEPS,
    NewBase,
    other,
    same_weights,
    stopped_after,
    with_options,
)
from dreambooth_nodes.trainer.events import Event, Resumed, Step, StoppedEarly
from dreambooth_nodes.trainer.runs.past_runs import ResumeError, require_resumable
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.run import RunInUse, open_run
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize


@pytest.mark.parametrize(
    "options",
    [{}, {"method": "full", "state_seconds": 30.0}, {"train_text_encoder": True, "accumulation": 2}],
    ids=["lora", "full", "text"],
)
def test_a_stopped_run_goes_on_to_the_same_weights(
    options: dict[str, Any], new_base: NewBase, asked: Request, store: Store
) -> None:
    asked = with_options(asked, **options)
    whole, straight = personalize(new_base(), asked, other(store, "straight"))
    stopped, run = personalize(new_base(), asked, store, *stopped_after(DEATH))
    assert stopped.steps == DEATH and run.state.is_file()
    events: list[Event] = []
    finished, again = personalize(new_base(), asked, store, events.append)
    assert [len(event.points) for event in events if isinstance(event, Resumed)] == [DEATH]
    assert [event.step for event in events if isinstance(event, Step)] == [4, 5]
    assert same_weights(finished.file, whole.file) and not same_weights(stopped.file, whole.file)
    assert [(p.step, p.instance, p.prior) for p in again.losses()] == [
        (p.step, p.instance, p.prior) for p in straight.losses()
    ]
    assert not again.state.exists() and stopped.file.is_file()


def test_a_run_that_died_goes_on_from_its_last_state(new_base: NewBase, asked: Request, store: Store) -> None:
    """What a kill leaves behind: a record that says "running", and the state of some step."""
    left, run = other(store, "left"), open_run(asked.key(new_base().fingerprint), store)

    def copy_at_death(event: Event) -> None:
        if isinstance(event, Step) and event.step == DEATH:
            shutil.copytree(store.work, left.work)

    whole, _ = personalize(new_base(), asked, store, copy_at_death)
    dead = open_run(run.key, left)
    assert dead.record["status"] == "running" and dead.state.is_file()
    events: list[Event] = []
    finished, _ = personalize(new_base(), asked, left, events.append)
    (after,) = [len(event.points) for event in events if isinstance(event, Resumed)]
    assert 0 < after < DEATH
    assert same_weights(finished.file, whole.file)


def test_a_run_can_be_begun_anew(new_base: NewBase, asked: Request, store: Store) -> None:
    personalize(new_base(), asked, store, *stopped_after(DEATH))
    events: list[Event] = []
    personalize(new_base(), asked, store, events.append, resume=False)
    assert [event.step for event in events if isinstance(event, Step)] == list(range(1, STEPS + 1))


def test_what_differs_is_said_where_there_is_no_such_run(new_base: NewBase, asked: Request, store: Store) -> None:
    base = new_base()
    with pytest.raises(ResumeError, match="no unfinished run of 'dog'"):
        require_resumable(asked, base.fingerprint, store)
    personalize(base, asked, store, *stopped_after(DEATH))
    assert require_resumable(asked, base.fingerprint, store).state.is_file()
    changed = replace(with_options(asked, steps=9, rank=4), priors=None)
    with pytest.raises(ResumeError, match=r"the class images differs; rank was 2, now 4|steps was 5, now 9") as raised:
        require_resumable(changed, base.fingerprint, store)
    assert all(word in str(raised.value) for word in ("class images", "steps was 5, now 9", "rank was 2, now 4"))


def test_a_run_is_trained_by_one_process(new_base: NewBase, asked: Request, store: Store) -> None:
    base = new_base()
    run = open_run(asked.key(base.fingerprint), store)
    run.folder.mkdir(parents=True)
    with FileLock(run.folder / "lock"), pytest.raises(RunInUse, match="another process"):
        personalize(base, asked, store)
    assert personalize(base, asked, store)[0].steps == STEPS


def test_a_stop_while_pictures_are_encoded_trains_nothing_and_keeps_the_state(
    new_base: NewBase, asked: Request, store: Store
) -> None:
    _, run = personalize(new_base(), asked, store, *stopped_after(DEATH))
    before = run.state.read_bytes()
    with pytest.raises(StoppedEarly):
        personalize(new_base(), asked, store, stop=lambda: True)
    assert run.state.read_bytes() == before

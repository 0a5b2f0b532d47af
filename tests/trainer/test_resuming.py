"""A run that was stopped or died goes on to the very weights of one that never stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from dreambooth_nodes.trainer.base import Base
from dreambooth_nodes.trainer.checkpoint import read_tensors, write_tensors
from dreambooth_nodes.trainer.events import Event, Resumed, Saved, Step, StoppedEarly, Warned
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.out_of_memory import OutOfMemory
from dreambooth_nodes.trainer.past_runs import find_finished
from dreambooth_nodes.trainer.personalize import personalize
from dreambooth_nodes.trainer.priors import ClassPriors
from dreambooth_nodes.trainer.request import Request
from dreambooth_nodes.trainer.resuming import ResumeError, require_resumable
from dreambooth_nodes.trainer.run import Run, RunInUse, open_run
from dreambooth_nodes.trainer.saving import ResultNotWritten
from dreambooth_nodes.trainer.state import StateError
from dreambooth_nodes.trainer.store import Store
from dreambooth_nodes.trainer.subject import Subject

STEPS, DEATH = 5, 3
AT_EVERY_STEP = 1e-9
NewBase = Callable[[], Base]


@pytest.fixture
def asked(subject: Subject, class_priors: ClassPriors) -> Request:
    options = TrainOptions(
        steps=STEPS, sample_count=0, precision="fp32", rank=2, schedule="cosine", warmup_steps=1,
        learning_rate=1e-3, state_seconds=AT_EVERY_STEP,
    )  # fmt: skip
    return Request(subject=subject, identifier="ohwx", options=options, name="dog", priors=class_priors)


def other(store: Store, name: str) -> Store:
    folder = store.work.parent.parent / name
    return Store(folder / "loras", folder / "checkpoints", folder / "dreambooth")


def stopped_after(steps: int) -> tuple[Callable[[Event], None], Callable[[], bool]]:
    done: list[int] = []
    return lambda event: done.append(1) if isinstance(event, Step) else None, lambda: len(done) >= steps


def with_options(request: Request, **changes: Any) -> Request:
    return replace(request, options=replace(request.options, **changes))


def same_weights(one: Path, another: Path) -> bool:
    first, second = read_tensors(one), read_tensors(another)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


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


def _torn(state: Path) -> None:
    state.write_bytes(state.read_bytes()[:-1000])


def _foreign(state: Path) -> None:
    write_tensors({"a": torch.ones(1)}, state, {})


def _of_another_version(state: Path) -> None:
    write_tensors({"a": torch.ones(1)}, state, {"dreambooth.state": "0"})


def _of_another_run(state: Path) -> None:
    write_tensors({"a": torch.ones(1)}, state, {"dreambooth.state": "1", "dreambooth.key": "0" * 64})


def _without_a_tensor(state: Path) -> None:
    from dreambooth_nodes.trainer.checkpoint import read_metadata

    tensors = read_tensors(state)
    tensors.pop("losses")
    write_tensors(tensors, state, read_metadata(state))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_torn, "torn"),
        (_foreign, "no state of a run of ours"),
        (_of_another_version, "another version"),
        (_of_another_run, "another run"),
        (_without_a_tensor, "losses"),
    ],
)
def test_states_that_are_torn_or_foreign_are_named(
    spoil: Callable[[Path], None], said: str, new_base: NewBase, asked: Request, store: Store
) -> None:
    _, run = personalize(new_base(), asked, store, *stopped_after(DEATH))
    spoil(run.state)
    with pytest.raises(StateError, match=said) as raised:
        personalize(new_base(), asked, store)
    assert run.state.name in str(raised.value)


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


def test_files_to_choose_from_are_usable_and_not_written_twice(new_base: NewBase, asked: Request, store: Store) -> None:
    asked = with_options(asked, save_every=2)
    events: list[Event] = []
    personalize(new_base(), asked, store, *stopped_after(DEATH))
    result, run = personalize(new_base(), asked, store, events.append)
    names = sorted(file.name for file in store.loras.glob("*.safetensors"))
    assert names == [
        "dog_00001.safetensors",
        "dog_00002.safetensors",
        "dog_step2_00001.safetensors",
        "dog_step4_00001.safetensors",
    ]
    kept = run.file_of(4)
    assert kept is not None and kept.steps == 4 and run.file() == result
    assert [event.path.name for event in events if isinstance(event, Saved)] == [names[3], names[1]]


def test_a_stop_while_pictures_are_encoded_trains_nothing_and_keeps_the_state(
    new_base: NewBase, asked: Request, store: Store
) -> None:
    _, run = personalize(new_base(), asked, store, *stopped_after(DEATH))
    before = run.state.read_bytes()
    with pytest.raises(StoppedEarly):
        personalize(new_base(), asked, store, stop=lambda: True)
    assert run.state.read_bytes() == before


def test_a_state_that_cannot_be_written_ends_no_training(new_base: NewBase, asked: Request, store: Store) -> None:
    base = new_base()
    run: Run = open_run(asked.key(base.fingerprint), store)
    run.state.mkdir(parents=True)
    events: list[Event] = []
    result, _ = personalize(base, asked, store, events.append)
    assert result.steps == STEPS
    assert any("state of step 1 was not written" in event.text for event in events if isinstance(event, Warned))


def test_a_result_that_cannot_be_written_is_kept_and_written_by_the_next_run(
    new_base: NewBase, asked: Request, store: Store
) -> None:
    asked = with_options(asked, save_every=2)
    whole, _ = personalize(new_base(), asked, other(store, "straight"))
    store.loras.parent.mkdir(parents=True)
    store.loras.write_text("a file where the folder should be")
    events: list[Event] = []
    with pytest.raises(ResultNotWritten, match=f"run the same again: it goes on from step {STEPS}"):
        personalize(new_base(), asked, store, events.append)
    assert any("file of step 2 was not written" in event.text for event in events if isinstance(event, Warned))
    store.loras.unlink()
    finished, run = personalize(new_base(), asked, store, events.append)
    assert same_weights(finished.file, whole.file) and not run.state.exists()
    assert [event.step for event in events if isinstance(event, Step)] == list(range(1, STEPS + 1))


def test_the_state_of_a_run_that_died_when_it_was_finished_is_removed(
    new_base: NewBase, asked: Request, store: Store
) -> None:
    base = new_base()
    _, run = personalize(base, asked, store)
    write_tensors({"a": torch.ones(1)}, run.state, {})
    assert find_finished(asked, base.fingerprint, store) is not None and not run.state.exists()


def test_two_names_alike_make_two_files(new_base: NewBase, asked: Request, store: Store) -> None:
    first, _ = personalize(new_base(), asked, store)
    second, _ = personalize(new_base(), with_options(asked, seed=1), store)
    assert first.file != second.file and not same_weights(first.file, second.file)
    assert find_finished(asked, first.trained_from, store) is not None


def hungry(base: Base, images: int) -> Base:
    """The allocator itself refuses what the denoiser asks for when it is shown more images than this."""

    def allocate(module: torch.nn.Module, shown: tuple[torch.Tensor, ...]) -> None:
        if len(shown[0]) > images:
            torch.empty(1 << 60, dtype=torch.uint8)

    base.denoiser.register_forward_pre_hook(allocate)
    return base


def test_out_of_memory_says_what_would_fit(new_base: NewBase, asked: Request, store: Store) -> None:
    with pytest.raises(OutOfMemory, match=r"switch checkpointing on; set batch_size to 2 .*can't allocate"):
        personalize(hungry(new_base(), 3), with_options(asked, batch_size=4), store)


def test_a_run_that_may_fit_itself_does_and_learns_the_same(new_base: NewBase, asked: Request, store: Store) -> None:
    asked, events = with_options(asked, batch_size=4, fit_memory=True), list[Event]()
    _, plain = personalize(new_base(), asked, other(store, "plain"))
    _, fitted = personalize(hungry(new_base(), 2), asked, store, events.append)
    warnings = [event.text for event in events if isinstance(event, Warned)]
    assert ["checkpointing" in warnings[0], "batch_size is 2" in warnings[1], "batch_size is 1" in warnings[2]] == [
        True
    ] * 3
    torch.testing.assert_close(*([p.instance for p in run.losses()] for run in (plain, fitted)), rtol=1e-3, atol=1e-4)

"""States on disk: whole or named for what is wrong with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.tests.trainer.short_runs import DEATH, STEPS, NewBase, request_of, stopped_after
from dreambooth_nodes.trainer.events import Event, Warned
from dreambooth_nodes.trainer.files.safetensors import read_metadata, read_tensors, write_tensors
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.runs.past_runs import find_finished
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.run import Run, open_run
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.sampling.class_priors import ClassPriors
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.session.resume_state import StateError
from dreambooth_nodes.trainer.subject.subject import Subject


@pytest.fixture(scope="module")
def stopped(
    tiny_base_file: Path, subject: Subject, class_priors: ClassPriors, tmp_path_factory: pytest.TempPathFactory
) -> Store:
    """Of a run that was stopped after DEATH steps."""
    output = tmp_path_factory.mktemp("stopped")
    store = Store(output / "loras", output / "checkpoints", output / "dreambooth")
    personalize(load_base(tiny_base_file), request_of(subject, class_priors), store, *stopped_after(DEATH))
    return store


def _torn(state: Path) -> None:
    state.write_bytes(state.read_bytes()[:-1000])


def _foreign(state: Path) -> None:
    write_tensors({"a": torch.ones(1)}, state, {})


def _of_another_version(state: Path) -> None:
    write_tensors({"a": torch.ones(1)}, state, {"dreambooth.state": "0"})


def _of_another_run(state: Path) -> None:
    write_tensors({"a": torch.ones(1)}, state, {"dreambooth.state": "2", "dreambooth.key": "0" * 64})


def _without_a_tensor(state: Path) -> None:
    tensors = read_tensors(state)
    tensors.pop("losses")
    write_tensors(tensors, state, read_metadata(state))


def _flipped_in_the_weights(state: Path) -> None:
    content = bytearray(state.read_bytes())
    content[-100] ^= 1
    state.write_bytes(content)


def _flipped_in_the_rate(state: Path) -> None:
    said = read_metadata(state)
    said["dreambooth.progress"] = said["dreambooth.progress"].replace('"rates": [0.', '"rates": [1.')
    assert said != read_metadata(state)
    write_tensors(read_tensors(state), state, said)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_torn, "damaged"),
        (_foreign, "no state of a run of ours"),
        (_of_another_version, "another version"),
        (_of_another_run, "another run"),
        (_without_a_tensor, "checksum"),
        (_flipped_in_the_weights, "checksum"),
        (_flipped_in_the_rate, "checksum"),
    ],
)
def test_states_that_are_torn_or_foreign_are_named(
    spoil: Callable[[Path], None], said: str, stopped: Store, new_base: NewBase, asked: Request, store: Store
) -> None:
    shutil.copytree(stopped.work.parent, store.work.parent)
    base = new_base()
    run = open_run(asked.key(base.fingerprint), store)
    spoil(run.state)
    with pytest.raises(StateError, match=said) as raised:
        personalize(base, asked, store)
    assert run.state.name in str(raised.value)


def test_a_state_that_cannot_be_written_ends_no_training(new_base: NewBase, asked: Request, store: Store) -> None:
    base = new_base()
    run: Run = open_run(asked.key(base.fingerprint), store)
    run.state.mkdir(parents=True)
    events: list[Event] = []
    result, _ = personalize(base, asked, store, events.append)
    assert result.steps == STEPS
    assert any("state of step 1 was not written" in event.text for event in events if isinstance(event, Warned))


def test_the_state_of_a_run_that_died_when_it_was_finished_is_removed(
    new_base: NewBase, asked: Request, store: Store
) -> None:
    base = new_base()
    _, run = personalize(base, asked, store)
    write_tensors({"a": torch.ones(1)}, run.state, {})
    assert find_finished(asked, base.fingerprint, store) is not None and not run.state.exists()

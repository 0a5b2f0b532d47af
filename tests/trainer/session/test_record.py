"""What a run's record and log say of it, for its explanation and its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreambooth_nodes.tests.trainer.short_runs import with_options
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.out_of_memory import OutOfMemory
from dreambooth_nodes.trainer.runs.past_runs import runs
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.run import open_run
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session import session as sessions
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.training import loop


def test_a_record_says_what_an_explanation_needs(
    base: Base, asked: Request, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STEPS_TO_MOVE", 2)
    _, run = personalize(type(base)(base.source), with_options(asked, warmup_steps=0), store)
    record = open_run(run.key, store).record
    assert record["size"] == [64, 64] and record["native_resolution"] == 64 and record["error"] == ""
    assert record["photo_faults"] == {} and record["device"] == "cpu" and record["versions"]["torch"]
    assert [step for step, _ in record["fixed_losses"]] == [0, 2, 5]
    before, _, after = (loss for _, loss in record["fixed_losses"])
    assert 0 < after < before
    lines = run.log.read().splitlines()
    assert any("training" in line for line in lines) and any("step 5 of 5: loss" in line for line in lines)


def test_a_lack_of_memory_is_in_the_record(
    base: Base, asked: Request, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(sessions, "train", lacks)
    with pytest.raises(OutOfMemory):
        personalize(type(base)(base.source), asked, store)
    (run,) = runs(store)
    assert run.record["status"] == "failed" and run.record["error"].startswith("There is not enough memory")
    assert "not enough memory" in run.log.read()


def test_a_log_that_cannot_be_written_ends_no_training(
    base: Base, asked: Request, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    folder = open_run(asked.key(base.fingerprint), store).folder
    (folder / "log.txt").mkdir(parents=True)
    _, run = personalize(type(base)(base.source), with_options(asked, steps=5), store)
    assert run.record["status"] == "finished" and "was not written" in caplog.text
    assert Path(run.log.path).is_dir()

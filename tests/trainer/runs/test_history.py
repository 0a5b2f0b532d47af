"""The list of results, and what may be deleted of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from dreambooth_nodes.trainer.files.safetensors import read_metadata, write_tensors
from dreambooth_nodes.trainer.runs.history import NotOurs, delete_result, history
from dreambooth_nodes.trainer.runs.personalized import Personalized
from dreambooth_nodes.trainer.runs.run import Run, open_run, relative
from dreambooth_nodes.trainer.runs.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "loras", tmp_path / "checkpoints", tmp_path / "dreambooth")


def trained(store: Store, key: str, status: str = "finished") -> Path:
    with store.new_file("loras", "dog") as file:
        result = Personalized(file, "lora", "mdt", "dog", "f" * 64, 5, 0)
        said = {**result.metadata(), "modelspec.title": "dog", "dreambooth.settings": json.dumps({"rank": 4})}
        write_tensors({"a": torch.zeros(1)}, file, said)
    run = Run(key * 32, store)
    run.write(status=status)
    run.add_file(result)
    return file


def test_history_says_what_a_result_is_and_with_which_settings(store: Store) -> None:
    file = trained(store, "a")
    (entry,) = json.loads(json.dumps(history(store)))
    assert (entry["path"], entry["trigger"], entry["steps"]) == (f"loras/{file.name}", "mdt dog", 5)
    assert (entry["settings"], entry["status"], entry["thumbnail"]) == ({"rank": 4}, "finished", None)


def test_a_deleted_result_is_gone_and_the_others_stay(store: Store) -> None:
    gone, kept = trained(store, "a"), trained(store, "b")
    delete_result(relative(gone, store), store)
    assert not gone.exists()
    assert kept.is_file()
    assert [entry["file"] for entry in history(store)] == [kept.name]


def test_only_what_a_record_names_can_be_deleted(store: Store) -> None:
    named = trained(store, "a")
    foreign = named.with_name("foreign.safetensors")
    foreign.write_bytes(named.read_bytes())
    outside = store.work.parent.parent / "outside.safetensors"
    outside.write_bytes(named.read_bytes())
    Run("c" * 32, store).write(status="finished", files=[{"step": 5, "file": "../outside.safetensors"}])
    paths = [
        "loras/foreign.safetensors",
        "../outside.safetensors",
        str(outside),
        str(named),
        f"loras/../loras/{named.name}",
    ]
    for path in [*paths, "", "dreambooth/runs/" + "a" * 24 + "/run.json"]:
        with pytest.raises(NotOurs):
            delete_result(path, store)
    assert foreign.is_file()
    assert outside.is_file()
    assert named.is_file()


def test_a_run_that_goes_on_keeps_its_file_and_one_that_died_does_not(store: Store) -> None:
    file = trained(store, "a", "running")
    with FileLock(Run("a" * 32, store).folder / "lock"), pytest.raises(NotOurs, match="right now"):
        delete_result(relative(file, store), store)
    assert file.is_file()
    delete_result(relative(file, store), store)
    assert not file.exists()


def test_a_file_whose_header_is_no_runs_hides_no_other(store: Store) -> None:
    file = trained(store, "a")
    said = {**read_metadata(trained(store, "b")), "dreambooth.photos": "many"}
    write_tensors({"a": torch.zeros(1)}, store.loras / "dog_00002.safetensors", said)
    assert [entry["file"] for entry in history(store)] == [file.name]


def test_a_file_from_between_is_no_result_when_the_result_is_deleted(store: Store) -> None:
    files: list[dict[str, Any]] = [{"step": 5, "file": relative(trained(store, "a"), store)} for _ in range(2)]
    Run("a" * 32, store).write(status="finished", files=files)
    delete_result(files[-1]["file"], store)
    left = open_run("a" * 32, store)
    assert left.file() is not None and left.result() is None

"""Records on disk: torn and foreign ones are told apart, and none leads out of the folders."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from dreambooth_nodes.trainer.events import Sample
from dreambooth_nodes.trainer.files.pictures import write_picture
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, write_tensors
from dreambooth_nodes.trainer.model.source import CheckpointFile
from dreambooth_nodes.trainer.runs.past_runs import results
from dreambooth_nodes.trainer.runs.personalized import Personalized, read_personalized
from dreambooth_nodes.trainer.runs.run import FORMAT, open_run
from dreambooth_nodes.trainer.runs.store import Store


def result(file: Path, **changes: Any) -> Personalized:
    fields = {
        "method": "lora",
        "identifier": "olt",
        "class_noun": "dog",
        "trained_from": "f" * 64,
        "steps": 3,
        "seed": 0,
    }
    return Personalized(file=file, **{**fields, **changes})


def saved(store: Store, key: str, file: Path, status: str = "finished") -> Personalized:
    made = result(file)
    write_tensors({"a": torch.ones(1)}, file, made.metadata())
    open_run(key, store).write(
        status=status, files=[{"step": 3, "file": file.relative_to(store.work.parent).as_posix()}]
    )
    return made


def test_what_a_file_says_of_itself_comes_back(tmp_path: Path) -> None:
    made = result(tmp_path / "dog.safetensors")
    write_tensors({"a": torch.ones(1)}, made.file, made.metadata())
    assert read_personalized(made.file) == made
    assert made.trigger == "olt dog"


def test_a_file_of_another_tool_is_refused_by_name(tmp_path: Path) -> None:
    other = write_tensors({"a": torch.ones(1)}, tmp_path / "other.safetensors", {"ss_network_dim": "4"})
    with pytest.raises(CheckpointError, match=r"other\.safetensors"):
        read_personalized(other)


def test_only_a_finished_run_with_its_file_is_a_result(store: Store) -> None:
    made = saved(store, "a" * 64, store.loras / "dog_00001.safetensors")
    stopped = saved(store, "b" * 64, store.loras / "dog_00002.safetensors", "stopped")
    assert open_run("a" * 64, store).result() == made
    assert open_run("b" * 64, store).result() is None
    assert {found.file for _, found in results(store)} == {made.file.resolve(), stopped.file.resolve()}
    made.file.unlink()
    assert open_run("a" * 64, store).result() is None


def test_a_record_that_points_elsewhere_is_no_result(store: Store, tmp_path: Path) -> None:
    outside = result(tmp_path / "secret.safetensors")
    write_tensors({"a": torch.ones(1)}, outside.file, outside.metadata())
    open_run("a" * 64, store).write(status="finished", files=[{"step": 3, "file": "../secret.safetensors"}])
    assert open_run("a" * 64, store).result() is None and results(store) == []


def told(**said: Any) -> str:
    return json.dumps({"format": FORMAT, "key": "b" * 64, **said})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "damaged"),
        ("[" * 100_000, "damaged"),
        ("[]", "version"),
        (json.dumps({"format": FORMAT + 1}), "version"),
        (told(key=1), "key"),
        (told(key="../../elsewhere"), "key"),
        (told(files=[{"step": 1}]), "files"),
        (told(files=[{"step": 1, "file": "a\0b"}]), "files"),
        (told(losses=[{"step": 1}]), "losses"),
        (told(asked=1), "asked"),
    ],
)
def test_torn_and_foreign_records_are_named_and_hide_no_other(
    store: Store, text: str, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    saved(store, "a" * 64, store.loras / "dog_00001.safetensors")
    bad = open_run("b" * 64, store).folder / "run.json"
    bad.parent.mkdir(parents=True)
    bad.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert len(results(store)) == 1
    assert named in caplog.text
    with pytest.raises(CheckpointError, match=named):
        open_run("b" * 64, store)


def test_a_kept_base_is_kept_once(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "base.safetensors"
    source.write_bytes(b"weights")
    kept = store.keep_base(CheckpointFile(source), "f" * 64)
    source.unlink()
    assert kept.read_bytes() == b"weights" and store.keep_base(CheckpointFile(kept), "f" * 64) == kept
    assert [file.name for file in kept.parent.iterdir()] == [kept.name]


def test_a_base_behind_a_symbolic_link_is_kept_itself(store: Store, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0123").write_bytes(b"weights")
    source = tmp_path / "base.safetensors"
    source.symlink_to(Path("blobs") / "0123")
    kept = store.keep_base(CheckpointFile(source), "f" * 64)
    (tmp_path / "blobs" / "0123").unlink()
    assert not kept.is_symlink() and kept.read_bytes() == b"weights"


def test_what_dead_writers_left_is_removed_and_nothing_else(store: Store) -> None:
    key, part = "a" * 64, "abcd_123.part"
    run = open_run(key, store)
    (run.folder / "samples").mkdir(parents=True)
    bases = store.kept_base(key).parent
    dead = [
        run.folder / f".state.safetensors.{part}",
        run.folder / "samples" / f".step_000001_0.png.{part}",
        store.loras / f".dog_00001.safetensors.{part}",
        bases / f".{key[:24]}.safetensors.00000123.part",
    ]
    foreign = [store.loras / name for name in (f".dog.safetensors.{part}", "dog.part", ".model.part")]
    for file in [*dead, *foreign]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"torn")
    with run.alone(), store.new_file("loras", "dog") as new:
        assert new.name == "dog_00001.safetensors"
    assert not any(file.exists() for file in dead) and all(file.exists() for file in foreign)


def test_a_torn_sample_hides_no_other(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    run = open_run("a" * 64, store)
    run.samples.keep(Sample(1, "a dog", torch.rand(2, 3, 16, 16)))
    folder = run.folder / "samples"
    whole = (folder / "step_000001_0.png").read_bytes()
    (folder / "step_000001_0.png").write_bytes(whole[: len(whole) // 2])
    (folder / "step_000000_0.png").write_bytes(b"")
    write_picture(torch.rand(3, 8, 8), folder / "step_000000_1.png")
    assert run.samples.all().shape == (1, 3, 16, 16) and "step_000001_0.png" in caplog.text

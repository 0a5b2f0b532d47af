"""Files are whole or not there, and what is no safetensors file is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreambooth_nodes.trainer.files.atomic import next_numbered_path, write_json
from dreambooth_nodes.trainer.files.safetensors import (
    CheckpointError,
    read_metadata,
    read_shapes,
    read_tensors,
    write_tensors,
)
from dreambooth_nodes.trainer.model.families import load_base


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.arange(6.0).view(2, 3).t(), "b": torch.ones(2, dtype=torch.int64)}
    file = write_tensors(tensors, tmp_path / "deep" / "x.safetensors", {"trigger": "ohwx dog"})
    assert read_metadata(file) == {"trigger": "ohwx dog"}
    assert read_shapes(file) == {"a.weight": (3, 2), "b": (2,)}
    assert all(torch.equal(tensors[key], tensor) for key, tensor in read_tensors(file).items())
    assert read_tensors(file, "a.").keys() == {"a.weight"}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = write_json({"step": 1}, tmp_path / "run.json")
    before = file.read_bytes()
    with pytest.raises(TypeError):
        write_json({"step": object()}, file)
    with pytest.raises(Exception, match="metadata"):
        write_tensors({"a": torch.ones(1)}, file, {"step": 1})  # type: ignore[dict-item]
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_numbers_go_up_and_nothing_is_overwritten(tmp_path: Path) -> None:
    for expected in ("dog_00001", "dog_00002"):
        file = next_numbered_path(tmp_path, "dog")
        assert file.stem == expected
        file.touch()
    (tmp_path / "dog_00041.safetensors").touch()
    assert next_numbered_path(tmp_path, "dog").stem == "dog_00042"
    assert next_numbered_path(tmp_path, "do").stem == "do_00001"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 pickle", b"\xff" * 64])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        read_shapes(file)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>" + b" " * 1000, "login"),
        (b'{"error":"Invalid token"}', "login"),
        (b"GGUF\3\0\0\0" + b"\0" * 100, "GGUF"),
        (b"PK\3\4" + b"\0" * 100, "PyTorch"),
        (b"\x80\2}q\0" + b"\0" * 100, "pickle"),
        (b"", "empty"),
    ],
)
def test_what_stands_in_the_place_of_a_model_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors.*{told}"):
        read_metadata(file)


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    file = write_tensors({"a": torch.ones(1000)}, tmp_path / "model.safetensors", {})
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        read_tensors(file)


def test_a_missing_file_and_an_unknown_family_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no file 'x\.safetensors'"):
        load_base(tmp_path / "x.safetensors")
    other = write_tensors({"transformer.blocks.0.weight": torch.ones(2)}, tmp_path / "flux.safetensors", {})
    with pytest.raises(CheckpointError, match=r"flux\.safetensors.*transformer\.blocks"):
        load_base(other)

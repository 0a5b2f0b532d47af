"""A file's hash is computed once, and again as soon as the file is another one."""

from __future__ import annotations

import os
from pathlib import Path

from dreambooth_nodes.trainer.files.hashes import file_sha256
from dreambooth_nodes.trainer.files.kept_hashes import KeptHashes


class Counting:
    """The hash of a file, and how often it was computed."""

    def __init__(self, file: Path) -> None:
        self.file, self.times = file, 0

    def __call__(self) -> str:
        self.times += 1
        return file_sha256(self.file)


def test_an_unchanged_file_is_read_once_by_every_process(tmp_path: Path) -> None:
    file = tmp_path / "base.safetensors"
    file.write_bytes(bytes(range(256)) * 4000)
    compute, kept = Counting(file), tmp_path / "work" / "hashes.json"
    found = {KeptHashes(kept).of(file, "sha256", compute) for _ in range(3)}
    assert found == {file_sha256(file)} and compute.times == 1


def test_another_kind_of_hash_is_another_hash(tmp_path: Path) -> None:
    file = tmp_path / "base.safetensors"
    file.write_bytes(b"a" * 10_000)
    kept = KeptHashes(tmp_path / "hashes.json")
    assert [kept.of(file, kind, lambda kind=kind: kind) for kind in ("a", "b", "a")] == ["a", "b", "a"]  # type: ignore[misc]


def test_a_file_that_was_replaced_with_its_time_kept_is_read_anew(tmp_path: Path) -> None:
    file, kept = tmp_path / "base.safetensors", KeptHashes(tmp_path / "hashes.json")
    file.write_bytes(b"a" * 1_000_000)
    before, times = kept.of(file, "sha256", Counting(file)), file.stat()
    with file.open("r+b") as stream:
        stream.seek(700_000)
        stream.write(b"b" * 100_000)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert kept.of(file, "sha256", Counting(file)) == file_sha256(file) != before


def test_a_damaged_list_is_no_obstacle(tmp_path: Path) -> None:
    file, listed = tmp_path / "base.safetensors", tmp_path / "hashes.json"
    file.write_bytes(b"abc")
    for damaged in ("{", "[]", '{"x": 1}', "null"):
        listed.write_text(damaged)
        assert KeptHashes(listed).of(file, "sha256", Counting(file)) == file_sha256(file)

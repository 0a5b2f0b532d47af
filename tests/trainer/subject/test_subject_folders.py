"""Folders of several subjects, as kohya's trainers name them, and the subjects made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from dreambooth_nodes.trainer.subject.buckets import TrainingSize
from dreambooth_nodes.trainer.subject.photos import Photo, PhotoError, read_folder
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.subject.subject_folders import SubjectFolder, subject_folders

SIDE = 64


def put(*files: Path) -> None:
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((SIDE, SIDE + number), 60).convert("RGB").save(file)


def named(folder: Path, noun: str = "thing") -> list[tuple[int, str, str, int]]:
    found = subject_folders(folder, noun)
    return [(one.repeats, one.identifier, one.class_noun, len(one.files.photos)) for one in found]


def subject_of(folders: tuple[SubjectFolder, ...]) -> Subject:
    read = [read_folder(one.folder, SIDE, SIDE) for one in folders]
    return Subject.of_folders(folders, read, TrainingSize(SIDE, SIDE))


def test_each_folder_is_a_subject_by_its_name(tmp_path: Path) -> None:
    put(tmp_path / "10_sks dog" / "a.png", tmp_path / "10_sks dog" / "b.png", tmp_path / "5_olt_red_car" / "c.png")
    put(tmp_path / "2_mdt" / "d.png", tmp_path / ".hidden" / "e.png", tmp_path / "removed" / "f.png")
    (tmp_path / "log").mkdir()
    (tmp_path / "10_sks dog" / "a.txt").write_text("on grass")
    assert named(tmp_path, "cat") == [(10, "sks", "dog", 2), (2, "mdt", "cat", 1), (5, "olt", "red car", 1)]


def test_a_folder_of_photos_is_one_subject(tmp_path: Path) -> None:
    put(tmp_path / "a.png", tmp_path / "old ones" / "b.png")
    assert named(tmp_path, "dog") == [(1, "", "dog", 1)]
    assert (
        subject_of(subject_folders(tmp_path, "dog")).fingerprint
        == Subject(read_folder(tmp_path, SIDE, SIDE), "dog", SIDE, SIDE).fingerprint
    )


@pytest.mark.parametrize(
    ("folders", "complaint"),
    [
        (("dog", "cat"), "names do not begin with a number: cat, dog; .*'10_sks dog'"),
        (("10_sks dog", "more"), "do not begin with a number: more"),
        (("10_", "5_olt cat"), "do not begin with a number: 10_"),
        (("0_sks dog",), "'0_sks dog' is to be shown 0 times"),
        (("-3_sks dog",), "do not begin with a number: -3_sks dog"),
        (("10_sks dog", "."), "holds photos and folders of subjects as well: 10_sks dog"),
    ],
)
def test_folders_that_name_no_subject_are_refused(folders: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
    put(*(tmp_path / name / "a.png" for name in folders))
    with pytest.raises(PhotoError, match=complaint):
        subject_folders(tmp_path, "dog")


def test_two_folders_of_one_trigger_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "10_sks dog" / "a.png", tmp_path / "5_SKS Dog" / "b.png")
    with pytest.raises(ValueError, match=r"two subjects have the trigger '(SKS Dog|sks dog)'"):
        subject_of(subject_folders(tmp_path, "dog"))


def test_only_the_ratio_of_repeats_counts(tmp_path: Path) -> None:
    put(tmp_path / "10_sks dog" / "a.png", tmp_path / "15_olt cat" / "b.png")
    subject = subject_of(subject_folders(tmp_path, "dog"))
    assert [one.repeats for one in subject.each] == [2, 3]
    (tmp_path / "10_sks dog").rename(tmp_path / "4_sks dog")
    (tmp_path / "15_olt cat").rename(tmp_path / "6_olt cat")
    assert subject_of(subject_folders(tmp_path, "dog")).fingerprint == subject.fingerprint
    (tmp_path / "6_olt cat").rename(tmp_path / "8_olt cat")
    assert subject_of(subject_folders(tmp_path, "dog")).fingerprint != subject.fingerprint


def photo(value: float, width: int = SIDE) -> Photo:
    return Photo(f"{value}.png", torch.full((3, SIDE, width), value), None, None)


def test_several_subjects_are_one_with_all_photos_and_sizes_of_each_class() -> None:
    dog, cat = Subject((photo(0.1), photo(0.2)), "dog", SIDE, SIDE), Subject((photo(0.3),), "cat", SIDE, SIDE)
    with pytest.raises(ValueError, match="has no identifier, a dog"):
        Subject.joined([dog, cat])
    both = Subject.joined([replace(dog, identifier="a"), replace(cat, identifier="b")])
    assert [one.class_noun for one in both.each] == ["dog", "cat"] and len(both.all_photos) == 3
    assert both.sizes == {(SIDE, SIDE): 3}
    assert both.sizes_by_class == {"dog": {(SIDE, SIDE): 2}, "cat": {(SIDE, SIDE): 1}}
    assert both.fingerprint not in (dog.fingerprint, cat.fingerprint)

"""A folder of photos, as a page shows it."""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreambooth_nodes.trainer.subject.buckets import TrainingSize
from dreambooth_nodes.trainer.subject.photo_report import SHOWN, photo_report
from dreambooth_nodes.trainer.subject.photos import PhotoError
from dreambooth_nodes.trainer.subject.removed_photos import put_aside

SUBJECT = Path(__file__).parent.parent.parent.parent / "toybase" / "subjects" / "teapot"
SIZE = TrainingSize(64, 64)


def test_thumbnails_are_the_crop_that_is_trained_on(tmp_path: Path) -> None:
    wide = Image.new("RGB", (192, 64), "red")
    wide.paste("blue", (64, 0, 128, 64))
    wide.save(tmp_path / "wide.png")
    (photo,) = photo_report(tmp_path, SIZE)["photos"]
    picture = Image.open(io.BytesIO(base64.b64decode(photo["thumbnail"].split(",")[1]))).convert("RGB")
    assert picture.size == (64, 64)
    assert np.asarray(picture)[..., 2].min() > 200


def test_captions_and_what_is_passed_over_are_told(tmp_path: Path) -> None:
    shutil.copytree(SUBJECT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "01.txt").write_text("a teapot on the sand")
    (tmp_path / "nobody.txt").write_text("of no photo")
    report = photo_report(tmp_path, SIZE)
    assert [photo["caption"] for photo in report["photos"]] == ["", "a teapot on the sand", "", "", ""]
    assert report["captions"] == 1
    assert report["notes"] == ["captions without a photo of their name: nobody.txt"]
    (tmp_path / "01.txt").write_text("another")
    assert photo_report(tmp_path, SIZE)["photos"][1]["caption"] == "another"


def test_a_damaged_photo_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    shutil.copytree(SUBJECT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "00.png").write_bytes((SUBJECT / "00.png").read_bytes()[:200])
    damaged, *others = photo_report(tmp_path, SIZE)["photos"]
    assert (damaged["thumbnail"], damaged["faults"][0]["name"]) == (None, "unreadable")
    assert str(tmp_path) not in damaged["faults"][0]["why"][0]
    assert [photo["faults"] for photo in others] == [[]] * 4


def test_a_changed_photo_is_looked_at_again(tmp_path: Path) -> None:
    shutil.copytree(SUBJECT, tmp_path, dirs_exist_ok=True)
    before = photo_report(tmp_path, SIZE)["photos"][1]["thumbnail"]
    shutil.copyfile(SUBJECT / "02.png", tmp_path / "01.png")
    after = photo_report(tmp_path, SIZE)["photos"]
    assert after[1]["thumbnail"] != before
    assert [fault["name"] for fault in after[2]["faults"]] == ["near-duplicate"]


def test_a_large_folder_is_counted_and_shown_in_part(tmp_path: Path) -> None:
    for index in range(SHOWN + 3):
        Image.new("L", (32, 32), index).save(tmp_path / f"{index:03d}.png")
    report = photo_report(tmp_path, TrainingSize(32, 32))
    assert (report["count"], len(report["photos"])) == (SHOWN + 3, SHOWN)


@pytest.mark.parametrize("side", [0, 31, 33])
def test_a_side_that_cannot_be_trained_is_refused(side: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        photo_report(SUBJECT, TrainingSize(side, side))


def test_an_empty_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="holds no photo"):
        photo_report(tmp_path, SIZE)


def test_sizes_masks_and_how_often_each_photo_is_shown_are_told_of_every_subject(tmp_path: Path) -> None:
    dogs, cars = tmp_path / "10_sks dog", tmp_path / "5_olt car"
    for folder, names in ((dogs, ("00.png", "01.png")), (cars, ("02.png",))):
        folder.mkdir()
        for name in names:
            shutil.copyfile(SUBJECT / name, folder / name)
    Image.new("RGBA", (192, 128), (255, 0, 0, 90)).save(cars / "wide.png")
    (dogs / "00.txt").write_text("on grass")
    report = photo_report(tmp_path, TrainingSize(128, 128, buckets=True))
    assert report["subjects"] == [
        {"folder": "10_sks dog", "identifier": "sks", "class_noun": "dog", "repeats": 10, "photos": 2},
        {"folder": "5_olt car", "identifier": "olt", "class_noun": "car", "repeats": 5, "photos": 2},
    ]
    names = ["10_sks dog/00.png", "10_sks dog/01.png", "5_olt car/02.png", "5_olt car/wide.png"]
    assert [photo["name"] for photo in report["photos"]] == names
    assert [photo["share"] for photo in report["photos"]] == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6])
    wide = report["photos"][-1]
    assert wide["mask"] and wide["pixels"] == [192, 128] and wide["size"][0] > wide["size"][1]
    assert (report["count"], report["captions"], report["masks"]) == (4, 1, 1)
    assert report["sizes"] == [[128, 128, 3], [*wide["size"], 1]]
    assert put_aside(tmp_path, names[-1]) == cars / "removed" / "wide.png"
    assert photo_report(tmp_path, SIZE)["count"] == 3


def test_near_duplicates_are_looked_for_within_a_subject(tmp_path: Path) -> None:
    for name in ("1_sks dog", "1_olt car"):
        (tmp_path / name).mkdir()
        shutil.copyfile(SUBJECT / "00.png", tmp_path / name / "00.png")
    assert [photo["faults"] for photo in photo_report(tmp_path, SIZE)["photos"]] == [[], []]

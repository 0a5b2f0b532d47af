"""A folder of photos, as a page shows it."""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreambooth_nodes.trainer.subject.photo_report import SHOWN, photo_report
from dreambooth_nodes.trainer.subject.photos import PhotoError

SUBJECT = Path(__file__).parent.parent.parent.parent / "toybase" / "subjects" / "teapot"


def test_thumbnails_are_the_crop_that_is_trained_on(tmp_path: Path) -> None:
    wide = Image.new("RGB", (192, 64), "red")
    wide.paste("blue", (64, 0, 128, 64))
    wide.save(tmp_path / "wide.png")
    (photo,) = photo_report(tmp_path, 64)["photos"]
    picture = Image.open(io.BytesIO(base64.b64decode(photo["thumbnail"].split(",")[1]))).convert("RGB")
    assert picture.size == (64, 64)
    assert np.asarray(picture)[..., 2].min() > 200


def test_captions_and_what_is_passed_over_are_told(tmp_path: Path) -> None:
    shutil.copytree(SUBJECT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "01.txt").write_text("a teapot on the sand")
    (tmp_path / "nobody.txt").write_text("of no photo")
    report = photo_report(tmp_path, 64)
    assert [photo["caption"] for photo in report["photos"]] == ["", "a teapot on the sand", "", "", ""]
    assert report["captions"] == 1
    assert report["notes"] == ["captions without a photo of their name: nobody.txt"]
    (tmp_path / "01.txt").write_text("another")
    assert photo_report(tmp_path, 64)["photos"][1]["caption"] == "another"


def test_a_damaged_photo_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    shutil.copytree(SUBJECT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "00.png").write_bytes((SUBJECT / "00.png").read_bytes()[:200])
    damaged, *others = photo_report(tmp_path, 64)["photos"]
    assert (damaged["thumbnail"], damaged["faults"][0]["name"]) == (None, "unreadable")
    assert str(tmp_path) not in damaged["faults"][0]["why"][0]
    assert [photo["faults"] for photo in others] == [[]] * 4


def test_a_changed_photo_is_looked_at_again(tmp_path: Path) -> None:
    shutil.copytree(SUBJECT, tmp_path, dirs_exist_ok=True)
    before = photo_report(tmp_path, 64)["photos"][1]["thumbnail"]
    shutil.copyfile(SUBJECT / "02.png", tmp_path / "01.png")
    after = photo_report(tmp_path, 64)["photos"]
    assert after[1]["thumbnail"] != before
    assert [fault["name"] for fault in after[2]["faults"]] == ["near-duplicate"]


def test_a_large_folder_is_counted_and_shown_in_part(tmp_path: Path) -> None:
    for index in range(SHOWN + 3):
        Image.new("L", (32, 32), index).save(tmp_path / f"{index:03d}.png")
    report = photo_report(tmp_path, 32)
    assert (report["count"], len(report["photos"])) == (SHOWN + 3, SHOWN)


@pytest.mark.parametrize("side", [0, 31, 33])
def test_a_side_that_cannot_be_trained_is_refused(side: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        photo_report(SUBJECT, side)


def test_an_empty_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="holds no photo"):
        photo_report(tmp_path, 64)

"""What a page changes about the photos of a folder: order, exclusions, captions and masks."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dreambooth_nodes.trainer.subject.beside_photos import write_beside
from dreambooth_nodes.trainer.subject.buckets import TrainingSize
from dreambooth_nodes.trainer.subject.close_ups import close_ups_of_folder
from dreambooth_nodes.trainer.subject.photo_edits import (
    PhotoEdits,
    edited,
    edits_of,
    in_order,
    parsed_edits,
    unknown_names,
)
from dreambooth_nodes.trainer.subject.photo_folder import sorted_folder
from dreambooth_nodes.trainer.subject.photo_report import photo_report
from dreambooth_nodes.trainer.subject.photos import Photo, PhotoError, read_photos
from dreambooth_nodes.trainer.subject.removed_photos import put_aside
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.subject.subject_folders import subject_folders
from dreambooth_nodes.trainer.subject.whole_photo import whole_photo

SIDE = 64
SIZE = TrainingSize(SIDE, SIDE)


def put(folder: Path, *names: str, width: int = SIDE) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 255, (SIDE, width, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)
    return folder


def png(left: int, right: int, size: tuple[int, int] = (SIDE, SIDE)) -> bytes:
    """A mask of two halves."""
    mask = Image.new("L", size, right)
    mask.paste(left, (0, 0, size[0] // 2, size[1]))
    stream = io.BytesIO()
    mask.save(stream, "PNG")
    return stream.getvalue()


def read(folder: Path, edits: PhotoEdits, captions: list[str] | None = None) -> tuple[Photo, ...]:
    (one,) = edited(subject_folders(folder, "dog"), folder, edits, captions)
    return read_photos(one.files, SIZE)


def test_photos_have_the_edits_order_and_the_training_is_the_same(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png", "c.png")
    plain, turned = read(tmp_path, PhotoEdits()), read(tmp_path, PhotoEdits(order=("c.png", "gone.png", "b.png")))
    assert [photo.name for photo in turned] == ["c.png", "b.png", "a.png"]
    assert Subject(plain, "dog", SIDE, SIDE).fingerprint == Subject(turned, "dog", SIDE, SIDE).fingerprint


def test_an_excluded_photo_is_not_read_and_a_hosts_texts_and_masks_are_counted_with_it(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "b.png").write_bytes(b"damaged")
    edits = PhotoEdits(order=("c.png",), excluded=frozenset({"b.png"}))
    photos = read(tmp_path, edits, ["of c", "of a", "of b"])
    assert [(photo.name, photo.caption) for photo in photos] == [("c.png", "of c"), ("a.png", "of a")]
    (one,) = edited(subject_folders(tmp_path, "dog"), tmp_path, edits)
    masks = [torch.full((SIDE, SIDE), value) for value in (0.25, 0.5, 0.75)]
    assert [float(photo.mask.mean()) for photo in read_photos(one.files, SIZE, masks)] == [0.25, 0.5]  # type: ignore[union-attr]
    close = close_ups_of_folder(one.files, TrainingSize(32, 32), 1, masks)
    assert [photo.name for photo in close] == ["c.png (close-up 1)", "a.png (close-up 1)"]
    with pytest.raises(PhotoError, match="all 3 photos are excluded"):
        read(tmp_path, PhotoEdits(excluded=frozenset({"a.png", "b.png", "c.png"})))


def test_an_edited_caption_goes_before_the_hosts_and_the_files(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "a.txt").write_text("of the file")
    (tmp_path / "b.txt").write_text("of the file")
    edits = PhotoEdits(captions={"a.png": "of the page", "b.png": ""})
    assert [photo.caption for photo in read(tmp_path, edits)] == ["of the page", None, None]
    assert [photo.caption for photo in read(tmp_path, edits, ["1", "2", "3"])] == ["of the page", None, "3"]
    assert (tmp_path / "a.txt").read_text() == "of the file"


def test_a_painted_mask_goes_before_the_file_and_may_be_smaller(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png")
    for name in ("a", "b"):
        Image.new("L", (SIDE, SIDE), 255).save(tmp_path / f"{name}-masklabel.png")
    (tmp_path / "b-masklabel.png").write_bytes(png(0, 255))
    first, second = read(tmp_path, PhotoEdits(masks={"a.png": png(255, 0, (32, 32)), "b.png": b""}))
    assert first.mask is not None and first.mask[:, :30].min() == 1 and first.mask[:, 34:].max() == 0
    assert second.mask is None


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (b"no picture", "painted on 'a.png' is no PNG"),
        (png(255, 0, (64, 32)), "is 64 x 32, and the photo 64 x 64, of another shape"),
        (png(0, 0), "zero everywhere"),
    ],
)
def test_a_painted_mask_that_cannot_be_used_is_refused(tmp_path: Path, mask: bytes, told: str) -> None:
    with pytest.raises(PhotoError, match=told):
        read(put(tmp_path, "a.png"), PhotoEdits(masks={"a.png": mask}))


def test_edits_are_those_of_the_folder_that_is_chosen() -> None:
    own = {"order": ["b"], "excluded": ["a"], "captions": {"b": " two\nlines "}}
    text = json.dumps({"mine": {**own, "masks": {"b": "data:image/png;base64," + base64.b64encode(b"x").decode()}}})
    assert edits_of(text, "mine") == PhotoEdits(("b",), frozenset("a"), {"b": "two lines"}, {"b": b"x"})
    assert edits_of(text, "another") == edits_of(" ", "mine") == PhotoEdits()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no JSON"),
        ("[]", "no object of folders"),
        ('{"mine": 1}', "no object"),
        ('{"mine": {"caption": {}}}', "'caption', which is not known"),
        ('{"mine": {"order": "a.png"}}', "order in the edits of photos is no list of names"),
        ('{"mine": {"excluded": [1]}}', "excluded in the edits of photos is no list"),
        ('{"mine": {"captions": {"a.png": 1}}}', "captions in the edits of photos is no object of texts"),
        ('{"mine": {"masks": {"a.png": "?"}}}', "painted on 'a.png' is not base64"),
        (json.dumps({"mine": {"captions": {"a.png": "x" * 10_001}}}), "caption of 'a.png' is 10,001 bytes"),
    ],
)
def test_edits_that_cannot_be_read_are_refused(text: str, told: str) -> None:
    with pytest.raises(PhotoError, match=told):
        edits_of(text, "mine")


def test_edits_of_several_subjects_name_the_subjects_folder(tmp_path: Path) -> None:
    put(tmp_path, "10_sks dog/a.png", "10_sks dog/b.png", "5_olt cat/a.png")
    edits = PhotoEdits(
        excluded=frozenset({"10_sks dog/a.png"}), captions={"5_olt cat/a.png": "a cat", "a.png": "nobody's"}
    )
    folders = edited(subject_folders(tmp_path, "thing"), tmp_path, edits)
    dog, cat = (read_photos(one.files, SIZE) for one in folders)
    assert [photo.name for photo in dog] == ["b.png"] and [photo.caption for photo in (*dog, *cat)] == [None, "a cat"]
    assert unknown_names(folders, tmp_path, edits) == ["a.png"]


def test_the_report_is_of_what_is_used(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes())
    plain = photo_report(tmp_path, SIZE)
    assert (plain["count"], plain["faults"].get("near-duplicate")) == (3, 1)
    edits = PhotoEdits(("b.png",), frozenset({"a.png"}), {"b.png": "a caption"}, {"c.png": png(255, 0)})
    report = photo_report(tmp_path, SIZE, edits=edits)
    assert [(photo["name"], photo["excluded"], photo["share"]) for photo in report["photos"]] == [
        ("b.png", False, 0.5),
        ("a.png", True, 0.0),
        ("c.png", False, 0.5),
    ]
    counts = [report[name] for name in ("count", "excluded", "captions", "masks", "sizes")]
    assert counts == [2, 1, 1, 1, [[SIDE, SIDE, 2]]] and "near-duplicate" not in report["faults"]
    picture = Image.open(io.BytesIO(base64.b64decode(report["photos"][2]["thumbnail"].split(",")[1])))
    left, right = np.asarray(picture)[:, :30].mean(), np.asarray(picture)[:, 34:].mean()
    assert right < 0.35 * left


def test_captions_and_masks_are_written_beside_the_photos_when_asked(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "10_sks dog/b.png", width=96)
    (tmp_path / "a.caption").write_text("the old one")
    edits = PhotoEdits(captions={"a.jpg": "a dog, says “hi”"}, masks={"a.jpg": png(255, 0, (48, 32))})
    assert [path.name for path in write_beside(tmp_path, edits)] == ["a.txt", "a-masklabel.png"]
    assert sorted(path.name for path in (tmp_path / "removed").iterdir()) == ["a.caption"]
    folder = sorted_folder(tmp_path)
    assert (folder.captions[tmp_path / "a.jpg"], folder.warnings) == ("a dog, says “hi”", ())
    (photo,) = read_photos(folder, TrainingSize(96, 64))
    assert photo.mask is not None and photo.mask[:, :44].min() == 1 and photo.mask[:, 52:].max() == 0
    shown = whole_photo(tmp_path / "a.jpg")
    sizes = [Image.open(io.BytesIO(base64.b64decode(str(url).split(",")[1]))).size for url in shown.values()]
    assert sizes == [(96, SIDE)] * 2
    write_beside(tmp_path, PhotoEdits(captions={"a.jpg": "", "10_sks dog/b.png": "within"}, masks={"a.jpg": b""}))
    assert sorted_folder(tmp_path).captions == {} and sorted_folder(tmp_path).masks == {}
    assert (tmp_path / "10_sks dog" / "b.txt").read_text() == "within\n"
    assert sorted(path.name for path in (tmp_path / "removed").iterdir()) == ["a-masklabel.png", "a.caption", "a.txt"]


def test_a_caption_of_a_table_that_is_removed_is_covered(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "of the table"}')
    write_beside(tmp_path, PhotoEdits(captions={"a.png": ""}))
    assert sorted_folder(tmp_path).captions == {}


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        (PhotoEdits(captions={"b.png": "x"}), "there is no photo 'b.png'"),
        (PhotoEdits(captions={"../a.png": "x"}), "there is no photo"),
        (PhotoEdits(captions={"a.png": "x"}), "'a.png' and 'a.jpg' have one name"),
        (PhotoEdits(captions={"c.png": "x"}, masks={"c.png": png(1, 2, (64, 20))}), "another shape"),
    ],
)
def test_what_cannot_be_written_leaves_the_folder_as_it_is(tmp_path: Path, edits: PhotoEdits, told: str) -> None:
    put(tmp_path, "a.png", "a.jpg", "c.png")
    with pytest.raises(PhotoError, match=told):
        write_beside(tmp_path, edits)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.png", "c.png"]


def test_a_photo_is_put_aside_with_its_mask(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png")
    (tmp_path / "a-masklabel.png").write_bytes(png(255, 0))
    put_aside(tmp_path, "a.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.png", "removed"]
    assert sorted(path.name for path in (tmp_path / "removed").iterdir()) == ["a-masklabel.png", "a.png"]


def test_the_order_of_names_is_found_whatever_their_capitals(tmp_path: Path) -> None:
    put(tmp_path, "A.png", "b.png")
    assert parsed_edits({"order": ["B.PNG"]}).order == ("B.PNG",)
    folder = in_order(sorted_folder(tmp_path), PhotoEdits(order=("B.PNG",)))
    assert [path.name for path in folder.photos] == ["b.png", "A.png"]

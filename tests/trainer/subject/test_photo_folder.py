"""A folder of photos: what is read, what is passed over, what is refused; captions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from dreambooth_nodes.trainer.subject.photos import PhotoError, put_aside, read_folder, read_photo

SIDE = 64


def put(path: Path, grey: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (SIDE, SIDE), grey).save(path)
    return path


def names(folder: Path) -> list[str]:
    return [photo.name for photo in read_folder(folder, SIDE, SIDE)]


def test_photos_come_sorted_by_name_and_the_rest_is_passed_over(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "c.webp", ".hidden.png", "deeper/d.png"):
        put(tmp_path / name)
    for name in ("a.txt", "notes.TXT", "meta.json", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"no image")
    assert names(tmp_path) == ["a.jpg", "b.png", "c.webp"]


def test_any_other_file_is_refused_by_name(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    (tmp_path / "notes.docx").write_bytes(b"PK\3\4")
    with pytest.raises(PhotoError, match=r"notes\.docx.*move it out"):
        read_folder(tmp_path, SIDE, SIDE)


@pytest.mark.parametrize("content", [[], ["notes.txt", ".hidden.png"], ["sub/a.png"]])
def test_a_folder_without_photos_is_refused(tmp_path: Path, content: list[str]) -> None:
    for name in content:
        put(tmp_path / name) if name.endswith("png") else (tmp_path / name).write_text("text")
    with pytest.raises(PhotoError, match=r"holds no photo.*3 to 5 images"):
        read_folder(tmp_path, SIDE, SIDE)


def test_what_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"nowhere.*check its path"):
        read_folder(tmp_path / "nowhere", SIDE, SIDE)
    with pytest.raises(PhotoError, match=r"none\.png.*check its path"):
        read_photo(tmp_path / "none.png", SIDE, SIDE)
    with pytest.raises(PhotoError, match="check its path"):
        read_folder(put(tmp_path / "a.png"), SIDE, SIDE)


def linked(link: Path, target: Path) -> None:
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("this system gives no right to make links")


def test_no_link_is_followed_out_of_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "secret.png")
    put(tmp_path / "photos" / "a.png")
    linked(tmp_path / "photos" / "b.png", tmp_path / "secret.png")
    with pytest.raises(PhotoError, match=r"b\.png.*link"):
        read_folder(tmp_path / "photos", SIDE, SIDE)


def test_a_link_that_leads_in_a_circle_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(PhotoError, match=r"a\.png"):
        read_folder(tmp_path, 64, 64)


def test_no_caption_is_read_from_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("a password")
    put(tmp_path / "photos" / "a.png")
    linked(tmp_path / "photos" / "a.txt", tmp_path / "secret.txt")
    with pytest.raises(PhotoError, match=r"a\.txt.*link"):
        read_folder(tmp_path / "photos", SIDE, SIDE)


def test_a_link_inside_the_folder_and_a_linked_folder_are_followed(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "a.png")
    linked(tmp_path / "photos" / "b.png", tmp_path / "photos" / "a.png")
    linked(tmp_path / "elsewhere", tmp_path / "photos")
    assert names(tmp_path / "elsewhere") == ["a.png", "b.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_caption_is_read_on_one_line(tmp_path: Path, encoding: str) -> None:
    put(tmp_path / "a.png"), put(tmp_path / "b.png")
    (tmp_path / "a.txt").write_text("spielt im Gras,\r\n  heiß\n", encoding=encoding)
    (tmp_path / "b.txt").write_text(" \n", encoding=encoding)
    assert [photo.caption for photo in read_folder(tmp_path, SIDE, SIDE)] == ["spielt im Gras, heiß", None]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
def test_a_caption_of_another_encoding_is_refused_by_name(tmp_path: Path, encoding: str) -> None:
    put(tmp_path / "a.png")
    (tmp_path / "a.txt").write_bytes("heiß".encode(encoding))
    with pytest.raises(PhotoError, match=r"a\.txt.*save it as UTF-8"):
        read_folder(tmp_path, SIDE, SIDE)


def test_a_caption_of_unreasonable_length_is_refused(tmp_path: Path) -> None:
    photo = put(tmp_path / "a.png")
    (tmp_path / "a.txt").write_bytes(b"x" * 10_000)
    assert read_photo(photo, SIDE, SIDE).caption == "x" * 10_000
    (tmp_path / "a.txt").write_bytes(b"x" * 10_001)
    with pytest.raises(PhotoError, match=r"a\.txt.*10,001 bytes"):
        read_photo(photo, SIDE, SIDE)


def test_a_caption_changes_the_digest_and_a_name_does_not(tmp_path: Path) -> None:
    first, second = read_photo(put(tmp_path / "a.png"), SIDE, SIDE), read_photo(put(tmp_path / "b.png"), SIDE, SIDE)
    assert first.digest == second.digest and torch.equal(first.pixels, second.pixels)
    (tmp_path / "a.txt").write_text("in the grass")
    assert read_photo(tmp_path / "a.png", SIDE, SIDE).digest != first.digest


def test_a_photo_that_is_put_aside_is_read_no_more_and_nothing_is_overwritten(tmp_path: Path) -> None:
    for grey in (10, 200):
        put(tmp_path / "a.png", grey)
        put(tmp_path / "b.png")
        (tmp_path / "a.txt").write_text(f"grey {grey}")
        put_aside(tmp_path, "a.png")
        assert names(tmp_path) == ["b.png"]
    aside = tmp_path / "removed"
    assert sorted(file.name for file in aside.iterdir()) == ["a (2).png", "a (2).txt", "a.png", "a.txt"]
    assert (aside / "a.txt").read_text() == "grey 10"


@pytest.mark.parametrize("name", ["c.png", "../a.png", "a.txt", "", "."])
def test_only_a_photo_of_the_folder_is_put_aside(tmp_path: Path, name: str) -> None:
    put(tmp_path / "photos" / "a.png")
    (tmp_path / "photos" / "a.txt").write_text("a caption")
    put(tmp_path / "a.png")
    with pytest.raises(PhotoError, match="there is no photo"):
        put_aside(tmp_path / "photos", name)

"""A folder of photos: what is read, what is passed over, what is refused; captions."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from dreambooth_nodes.trainer.subject.file_kinds import OF_A_SYSTEM
from dreambooth_nodes.trainer.subject.photo_folder import sorted_folder
from dreambooth_nodes.trainer.subject.photos import PhotoError, read_folder, read_photo
from dreambooth_nodes.trainer.subject.removed_photos import put_aside

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
    with pytest.raises(PhotoError, match=r"notes\.docx.*move them out"):
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


@pytest.mark.parametrize(
    "end", ["_original", "~", ".bak", ".orig", ":Zone.Identifier", ":com.dropbox.attrs", ":x:$DATA"]
)
@pytest.mark.parametrize("picture", [True, False])
def test_backups_and_streams_of_a_photo_are_no_photos(tmp_path: Path, end: str, picture: bool) -> None:
    first = put(tmp_path / "a.jpg")
    (tmp_path / f"a.jpg{end}").write_bytes(first.read_bytes() if picture else b"[ZoneTransfer]")
    (tmp_path / "Thumbs.db:encryptable").touch()
    assert names(tmp_path) == ["a.jpg"]
    assert any(f"a.jpg{end}" in note for note in sorted_folder(tmp_path).notes)


def test_a_copy_and_a_picture_with_a_colon_in_its_name_are_photos(tmp_path: Path) -> None:
    for name in ("a.jpg", "a - Copy.jpg", "a.jpg.png", "2026-01-01 12:30.png"):
        put(tmp_path / name)
    assert len(names(tmp_path)) == 4


@pytest.mark.parametrize("end", ["gif", "webp", "png"])
def test_an_animation_is_named(tmp_path: Path, end: str) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / f"moving.{end}", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / f"still.{end}")
    [warning] = sorted_folder(tmp_path).warnings
    assert f"moving.{end}" in warning and "still" not in warning


def test_pages_are_named_and_previews_are_not(tmp_path: Path) -> None:
    whole, preview = Image.new("RGB", (SIDE, SIDE), "red"), Image.new("RGB", (8, 8), "red")
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "scan.tif"), new=True) as pages:
        for page in (whole, whole):
            page.save(pages, format="TIFF")
            pages.newFrame()
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "camera.tif"), new=True) as pages:
        for page, kind in ((whole, 0), (preview, 1)):
            page.save(pages, format="TIFF", tiffinfo={254: kind})
            pages.newFrame()
    whole.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[preview])
    [warning] = sorted_folder(tmp_path).warnings
    assert warning.endswith(": scan.tif")
    assert len(names(tmp_path)) == 3


@pytest.mark.parametrize(
    ("path", "told"),
    [("\u202aphotos", "U\\+202A"), ("ph\u200botos", "U\\+200B"), ('"photos"', "quote"), ("file:///photos", "address")],
)
def test_a_path_says_what_copying_put_into_it(tmp_path: Path, path: str, told: str) -> None:
    with pytest.raises(PhotoError, match=rf"check its path \(.*{told}"):
        read_folder(Path(path), SIDE, SIDE)


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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_caption_is_read_on_one_line(tmp_path: Path, encoding: str) -> None:
    put(tmp_path / "a.png"), put(tmp_path / "b.png")
    (tmp_path / "a.txt").write_text("spielt im Gras,\r\n  heiß\n", encoding=encoding)
    (tmp_path / "b.txt").write_text(" \n", encoding=encoding)
    assert [photo.caption for photo in read_folder(tmp_path, SIDE, SIDE)] == ["spielt im Gras, heiß", None]


@pytest.mark.parametrize("encoding", ["latin-1", "cp932", "utf-16-le"])
def test_a_caption_of_another_encoding_is_refused_by_name(tmp_path: Path, encoding: str) -> None:
    put(tmp_path / "a.png")
    (tmp_path / "a.txt").write_bytes(("日本" if encoding == "cp932" else "heiß").encode(encoding))
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


# What programs, phones and people leave beside photos; none of it ends a run, and none of it is a photo.
BESIDE = (
    *(
        "a.npz",
        "a_0512x0512_sd.npz",
        "a.xmp",
        "a.AAE",
        "a.MOV",
        "a.mp4",
        "a.json",
        "a.JPG.xmp",
        "a.pp3",
        "a.CR2",
        "a.dng",
    ),
    *(
        "LICENSE",
        "README.md",
        "readme",
        "NOTICE",
        "dataset.toml",
        "captions.csv",
        "meta.jsonl",
        "COPYING",
        "SHA256SUMS.sha256",
    ),
    *("ehthumbs.db", "Thumbs.db", "desktop.ini", "Icon\r", ".DS_Store", "._a.jpg", "Picasa.ini", "a.url"),
)


@settings(max_examples=40)
@given(names=st.lists(st.sampled_from(BESIDE), unique=True, max_size=5))
def test_known_files_beside_photos_are_passed_over(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("beside")
    put(folder / "a.jpg")
    for name in names:
        (folder / name).write_bytes(b"no image")
    found = sorted_folder(folder)
    assert [path.name for path in found.photos] == ["a.jpg"]
    said = "".join(found.notes)
    assert all(name in said for name in names if name[0] != "." and name.casefold() not in OF_A_SYSTEM)


@settings(max_examples=30)
@given(
    names=st.lists(
        st.sampled_from(["b.docx", "c.zip", "d.pdf", "e.exe", "film.mp4", "g", "h.ttf"]), min_size=1, unique=True
    )
)
def test_strangers_are_listed_all_at_once(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("strange")
    put(folder / "a.jpg")
    for name in names:
        (folder / name).write_bytes(b"PK\3\4 no image")
    with pytest.raises(PhotoError) as raised:
        sorted_folder(folder)
    assert all(name in str(raised.value) for name in names) and "move them out" in str(raised.value)


def test_raw_files_alone_are_listed_with_the_way_out_and_all_bad_photos_at_once(tmp_path: Path) -> None:
    for name in ("a.CR2", "b.nef", "c.dng"):
        (tmp_path / name).write_bytes(b"II*\0" + bytes(40))
    with pytest.raises(PhotoError, match=r"RAW files.*a\.CR2, b\.nef, c\.dng; develop them"):
        sorted_folder(tmp_path)
    for name in ("a.CR2", "b.nef", "c.dng"):
        put(tmp_path / f"{name[0]}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(PhotoError, match=r"3 photos cannot be used\..*a\.png.*b\.png.*c\.png"):
        read_folder(tmp_path, SIDE, SIDE)


def test_a_picture_without_an_end_is_a_photo(tmp_path: Path) -> None:
    put(tmp_path / "b.png").rename(tmp_path / "IMG_0001")
    put(tmp_path / "c.jpg").rename(tmp_path / "c.jpg_large")
    put(tmp_path / "a.webp")
    assert names(tmp_path) == ["IMG_0001", "a.webp", "c.jpg_large"]


NAMES = {
    "another case": ("IMG_1.JPG", "img_1.TXT"),
    "the whole name": ("a.png", "a.png.txt"),
    "composed and not": (unicodedata.normalize("NFC", "é.png"), unicodedata.normalize("NFD", "é.txt")),
    "not composed": (unicodedata.normalize("NFD", "プードル.png"), unicodedata.normalize("NFC", "プードル.txt")),
    "German": ("GROSS.png", "groß.caption"),
    "another end": ("a.jpeg", "a.Caption"),
    "dots": ("a.b.c.png", "a.b.c.txt"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_caption_belongs_to_the_photo_of_its_name_however_it_is_written(kind: str, tmp_path: Path) -> None:
    photo, text = NAMES[kind]
    put(tmp_path / photo)
    (tmp_path / text).write_text("in the grass", encoding="utf-8")
    (path,) = sorted_folder(tmp_path).photos
    assert [photo.caption for photo in read_folder(tmp_path, SIDE, SIDE)] == ["in the grass"]
    assert read_photo(path, SIDE, SIDE).caption == "in the grass"


@pytest.mark.parametrize("column", ["text", "caption", "prompt"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_table_of_captions_is_read(kind: str, column: str, tmp_path: Path) -> None:
    for name in ("a.png", "B.JPG", "c.png"):
        put(tmp_path / name)
    rows = [{"file_name": "a.png", column: "one, two"}, {"file_name": "b.jpg", column: "three"}]
    stream = io.StringIO()
    if kind == "jsonl":
        stream.write("\n".join(json.dumps(row) for row in rows))
    else:
        table = csv.DictWriter(stream, ["file_name", column])
        table.writeheader()
        table.writerows(rows)
    (tmp_path / f"metadata.{kind}").write_text(stream.getvalue(), encoding="utf-8-sig")
    found = sorted_folder(tmp_path)
    assert {path.name: text for path, text in found.captions.items()} == {"a.png": "one, two", "B.JPG": "three"}
    assert found.captioned == "2 of 3 photos have captions" and not found.warnings


def test_captions_without_a_photo_and_those_that_others_go_before_are_named(tmp_path: Path) -> None:
    put(tmp_path / "a.png"), put(tmp_path / "b.png")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "a.caption").write_text("second")
    (tmp_path / "c.txt").write_text("third")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "d.png", "text": "fourth"}\n{"file_name": "b.png", "text": "5"}'
    )
    found = sorted_folder(tmp_path)
    assert [found.captions[path] for path in found.photos] == ["first", "5"]
    orphans, several = found.warnings
    assert "c.txt" in orphans and "d.png (in metadata.jsonl)" in orphans
    assert "a.caption for a.png" in several


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("metadata.jsonl", '{"file_name": "a.png", "text": "x"}\nno json', "line 2: no JSON"),
        ("metadata.jsonl", '{"text": "x"}', "line 1: it needs the columns 'file_name'"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": ["x"]}', "line 1"),
        (
            "metadata.jsonl",
            '{"file_name": "a.png", "text": "x"}\n{"file_name": "A.PNG", "text": "y"}',
            "another caption",
        ),
        ("metadata.csv", "file_name,tags\na.png,x", "line 2: it needs the columns"),
        ("metadata.csv", "name;text\na.png;x", "line 2"),
    ],
)
def test_a_torn_table_is_refused_with_its_line(name: str, text: str, said: str, tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(PhotoError, match=rf"{name}.*{said}"):
        sorted_folder(tmp_path)


def test_onetrainers_mask_is_a_mask_and_no_photo(tmp_path: Path) -> None:
    put(tmp_path / "a.png"), put(tmp_path / "a-condlabel.png")
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(255, (0, 0, SIDE // 2, SIDE))
    mask.save(tmp_path / "a-masklabel.png")
    (photo,) = read_folder(tmp_path, SIDE, SIDE)
    assert photo.mask is not None and photo.mask[:, :30].eq(1).all() and photo.mask[:, 34:].eq(0).all()
    Image.new("L", (SIDE, 2 * SIDE)).save(tmp_path / "a-masklabel.png")
    with pytest.raises(PhotoError, match=r"a-masklabel\.png.*one size"):
        read_folder(tmp_path, SIDE, SIDE)


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

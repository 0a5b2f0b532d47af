"""A photo is turned by its orientation tag alone, whatever else Exif holds; RAW files and previews are no photos."""

from __future__ import annotations

import io
import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dreambooth_nodes.trainer.subject.decoding import decode
from dreambooth_nodes.trainer.subject.photos import PhotoError

Order = Literal["<", ">"]
Entry = tuple[int, int, int, bytes]
"""Tag, type, count, and the four bytes of the value or of its place."""
WIDE, HIGH = 96, 48


@lru_cache
def stored(kind: str) -> bytes:
    """A picture without any symmetry, lying on its side."""
    across, down = np.meshgrid(np.linspace(0, 255, WIDE), np.linspace(0, 255, HIGH))
    pixels = np.stack([across, down, (across < 64) * 200.0], axis=2).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {}))
    return stream.getvalue()


def directory(entries: list[Entry], order: Order) -> bytes:
    """Exif's bytes with these entries as they are."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return head + b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries) + bytes(4 + 64)


def oriented(value: int, order: Order) -> Entry:
    return 0x0112, 3, 1, struct.pack(f"{order}HH", value, 0)


def with_exif(kind: str, exif: bytes) -> bytes:
    """The same file with Exif put into it, whatever it holds."""
    data = stored(kind)
    if kind == "JPEG":
        return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + data[2:]
    chunk = b"eXIf" + exif.removeprefix(b"Exif\0\0")
    return data[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


@lru_cache
def upright(kind: str, path: Path) -> tuple[np.ndarray, ...]:  # type: ignore[type-arg]
    """The bands of the same picture turned by hand: orientation 6 is stored turned to the left."""
    path.write_bytes(stored(kind))
    return tuple(np.rot90(band, -1) for band in decode(path).bands)


entries = st.tuples(
    st.integers(0, 0xFFFF).filter(lambda tag: tag != 0x0112),
    st.integers(0, 20),
    st.sampled_from([0, 1, 2, 3, 4, 7, 64, 1000, 2**31, 2**32 - 1]),
    st.binary(min_size=4, max_size=4),
)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60)
@given(odd=st.lists(entries, max_size=6), order=st.sampled_from(["<", ">"]), kind=st.sampled_from(["JPEG", "PNG"]))
def test_odd_tags_neither_stop_it_nor_turn_it_wrongly(
    tmp_path_factory: pytest.TempPathFactory, odd: list[Entry], order: Order, kind: str
) -> None:
    exif = directory(sorted([*odd, oriented(6, order)]), order)
    place = tmp_path_factory.getbasetemp()
    path = place / f"odd.{kind.lower()}"
    path.write_bytes(with_exif(kind, b"Exif\0\0" + exif))
    found = decode(path)
    assert found.bands[0].shape == (WIDE, HIGH)
    for band, wanted in zip(found.bands, upright(kind, place / f"plain.{kind.lower()}"), strict=True):
        assert np.array_equal(band, wanted)


@pytest.mark.parametrize(
    ("tag", "form", "value"),
    [
        (0x9286, 7, b"odd comment"),  # UserComment
        (0x927C, 7, b"a maker's own bytes"),
        (0x8825, 4, b"\xff\xff\xff\xff"),  # the place of GPS, outside
        (0x8769, 4, b"\xff\xff\xff\xff"),
        (0xA005, 2, b"no number"),
        (0x0132, 2, b"not a date"),
        (0x011A, 5, struct.pack("<II", 72, 0)),  # divided by zero
        (0x0131, 9, b"\0\0\0\x80"),
        (0xC4A5, 7, b"PrintIM\0"),
        (0x9003, 12, b"\0\0\0\0\0\0\xf8\x7f"),
        (0x4746, 3, b"\0\0"),  # Windows' rating
        (0x9C9B, 1, "Titel".encode("utf-16-le")),  # Windows' title
    ],
)
def test_tags_as_cameras_and_windows_write_them_are_no_fault(tag: int, form: int, value: bytes, tmp_path: Path) -> None:
    """Longer values stand behind the directory."""
    size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 12: 8}[form]
    inside = value.ljust(4, b"\0")[:4] if len(value) <= 4 else struct.pack("<I", 8 + 2 + 24 + 4)
    both = sorted([(tag, form, max(1, len(value) // size), inside), oriented(6, "<")])
    exif = directory(both, "<")[: 8 + 2 + 24 + 4] + value + bytes(16)
    (tmp_path / "a.jpg").write_bytes(with_exif("JPEG", b"Exif\0\0" + exif))
    assert decode(tmp_path / "a.jpg").bands[0].shape == (WIDE, HIGH)


@pytest.mark.parametrize("entry", [(0x0112, 3, 1, b"\x09\0\0\0"), (0x0112, 2, 2, b"6\0\0\0"), (0x0112, 3, 0, bytes(4))])
def test_an_orientation_that_is_none_turns_nothing(entry: Entry, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(with_exif("JPEG", b"Exif\0\0" + directory([entry], "<")))
    assert decode(tmp_path / "a.jpg").bands[0].shape == (HIGH, WIDE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_is_turned_once(orientation: int, compression: str | None, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(io.BytesIO(stored("PNG"))) as image:
        image.save(tmp_path / "a.tif", exif=exif, compression=compression)
        image.save(tmp_path / "a.png", exif=exif)
    found, wanted = decode(tmp_path / "a.tif"), decode(tmp_path / "a.png")
    for band, other in zip(found.bands, wanted.bands, strict=True):
        assert np.array_equal(band, other)


def tiff_frames(path: Path, *frames: dict[int, int], side: int = 8) -> Path:
    """A TIFF of grey frames, each with tags of its own; the second is twice as large."""
    data, places = b"", []
    for index, tags in enumerate(frames):
        size = side * (index + 1)
        fields = {256: size, 257: size, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: size, 279: size * size, **tags}
        begin = 8 + len(data)
        fields[273] = begin + 2 + 12 * len(fields) + 4
        places.append(len(data) + 2 + 12 * len(fields))
        body = b"".join(struct.pack("<HHII", tag, 4, 1, fields[tag]) for tag in sorted(fields))
        data += struct.pack("<H", len(fields)) + body + bytes(4) + bytes([100 * (index + 1)]) * (size * size)
        if index + 1 < len(frames):
            place = places[-1]
            data = data[:place] + struct.pack("<I", 8 + len(data)) + data[place + 4 :]
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + data)
    return path


PREVIEW = {254: 1}
RAW = {
    "photo.dng": ({254: 1, 50706: 0x00000401},),
    "renamed.tif": ({254: 0, 50706: 0x00000401},),
    "photo.nef": (PREVIEW,),
    "mosaic.tif": ({262: 32803},),
    "linear.tif": ({262: 34892},),
    "packed.tif": ({259: 34713},),
    "photo.arw": ({},),
    "photo.PEF": ({},),
    "previews.tif": (PREVIEW, PREVIEW),
    "old.tif": ({255: 2},),
}


@pytest.mark.parametrize("name", RAW)
def test_a_preview_is_not_taken_for_the_picture(name: str, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=rf"{name}.*RAW.*develop it"):
        decode(tiff_frames(tmp_path / name, *RAW[name]))


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.raf", b"FUJIFILMCCD-RAW 0201"),
        ("a.orf", b"IIRO\x08\0\0\0"),
        ("a.rw2", b"IIU\0\x18\0\0\0"),
        ("a.cr2", b"II*\0\x10\0\0\0CR\x02\0"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1"),
        ("a.x3f", b"FOVb\0\0\2\0"),
        ("a.crw", b"II\x1a\0\0\0HEAPCCDR"),
    ],
)
def test_other_raw_files_are_named_too(name: str, start: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(start + bytes(100))
    with pytest.raises(PhotoError, match=rf"{name}.*RAW.*develop it"):
        decode(tmp_path / name)


def test_of_a_tiff_with_a_preview_in_front_the_picture_is_read(tmp_path: Path) -> None:
    found = decode(tiff_frames(tmp_path / "scan.tif", PREVIEW, {}))
    assert found.bands[0].shape == (16, 16) and set(found.bands[0].flatten()) == {200}


def test_a_jpeg_called_as_a_raw_file_is_a_jpeg(tmp_path: Path) -> None:
    (tmp_path / "a.dng").write_bytes(stored("JPEG"))
    assert decode(tmp_path / "a.dng").bands[0].shape == (HIGH, WIDE)


def chunk(name: bytes, data: bytes, right: bool = True) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) ^ (not right))


@pytest.mark.parametrize("behind", [False, True], ids=["before the pixels", "behind them"])
@pytest.mark.parametrize(
    "odd",
    [
        chunk(b"tEXt", b"workflow\0{}", right=False),
        chunk(b"zTXt", b"prompt\0\0" + zlib.compress(bytes(80_000_000))),
        chunk(b"iTXt", b"x\0\1\0\0\0no zlib"),
        chunk(b"tIME", b"\0"),
        chunk(b"iCCP", b"broken\0\0no zlib", right=False),
        chunk(b"prVt", bytes(10), right=False),
    ],
    ids=["wrong sum", "huge text", "torn text", "short time", "torn profile", "private"],
)
def test_what_programs_write_beside_a_pngs_pixels_is_no_fault_of_theirs(
    odd: bytes, behind: bool, tmp_path: Path
) -> None:
    data = stored("PNG")
    place = len(data) - 12 if behind else 33
    (tmp_path / "a.png").write_bytes(data[:place] + odd + data[place:])
    (tmp_path / "plain.png").write_bytes(data)
    found, wanted = decode(tmp_path / "a.png"), decode(tmp_path / "plain.png")
    assert all(np.array_equal(band, other) for band, other in zip(found.bands, wanted.bands, strict=True))

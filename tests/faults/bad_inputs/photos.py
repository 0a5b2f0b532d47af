"""Photo folders: torn, foreign, huge, empty, linked; and captions."""

from __future__ import annotations

import io
import shutil
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from ....trainer.subject.photos import read_folder
from ..setting import SIDE, Setting
from .judging import Verdicts, accepted_or_refused, examples, refused

Fill = Callable[[Path], object]


def encoded(kind: str, mode: str = "RGB", side: int = 48) -> bytes:
    """A picture of noise in a format."""
    shape = (side, side) if mode == "L" else (side, side, len(mode))
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8), mode).save(stream, kind)
    return stream.getvalue()


def _of_size(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and has no pixel."""
    said = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + said + struct.pack(">I", zlib.crc32(said))


def _animated() -> bytes:
    stream = io.BytesIO()
    frames = [Image.new("RGB", (48, 48), colour) for colour in ("red", "green", "blue")]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def _float_tiff() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((48, 48), np.nan, dtype=np.float32)).save(stream, "TIFF")
    return stream.getvalue()


def _link_out(folder: Path) -> None:
    outside = folder.parent / "outside.png"
    outside.write_bytes(encoded("PNG"))
    (folder / "photo.png").symlink_to(outside)


def _caption(content: bytes) -> Fill:
    def fill(folder: Path) -> None:
        (folder / "photo.png").write_bytes(encoded("PNG"))
        (folder / "photo.txt").write_bytes(content)

    return fill


def _caption_link(folder: Path) -> None:
    outside = folder.parent / "secret.txt"
    outside.write_text("secret", encoding="utf-8")
    (folder / "photo.png").write_bytes(encoded("PNG"))
    (folder / "photo.txt").symlink_to(outside)


def _bytes(content: bytes, name: str = "photo.png") -> Fill:
    return lambda folder: (folder / name).write_bytes(content)


BAD: dict[str, Fill] = {
    "no photo": lambda folder: None,
    "a folder called photo.png": lambda folder: (folder / "photo.png").mkdir(),
    "zero bytes": _bytes(b""),
    "text": _bytes(b"no picture"),
    "a program": _bytes(b"\x7fELF" + bytes(100)),
    "a PDF": _bytes(b"%PDF-1.4\n", "photo.pdf"),
    "PostScript": _bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "photo.eps"),
    "SVG": _bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "photo.svg"),
    "a video": _bytes(b"\0\0\0\x18ftypmp42" + bytes(100), "photo.mp4"),
    "HEIC of nothing": _bytes(b"\0\0\0\x18ftypheic" + bytes(100), "photo.heic"),
    "a model": _bytes(struct.pack("<Q", 2) + b"{}", "photo.safetensors"),
    "one byte too few": _bytes(encoded("PNG")[:40]),
    "a bomb": _bytes(_of_size(100_000, 100_000)),
    "just too large": _bytes(_of_size(12_000, 12_000)),
    "no pixel": _bytes(_of_size(0, 10)),
    "no pixels in it": _bytes(_of_size(48, 48)),
    "not a number": _bytes(_float_tiff(), "photo.tiff"),
    "a link out": _link_out,
    "a link to nothing": lambda folder: (folder / "photo.png").symlink_to(folder / "nothing.png"),
    "a link to itself": lambda folder: (folder / "photo.png").symlink_to(folder / "photo.png"),
    "a caption in Latin-1": _caption(b"gar\xe7on"),
    "a caption in UTF-16 without a mark": _caption("a dog".encode("utf-16-le")),
    "a caption with NUL": _caption(b"a\0dog"),
    "a caption too long": _caption(b"a" * 10_001),
    "a caption that is a link out": _caption_link,
    "all transparent": lambda folder: Image.new("RGBA", (48, 48)).save(folder / "photo.png"),
}
GOOD: dict[str, Fill] = {
    "CMYK": _bytes(encoded("JPEG", "CMYK"), "photo.jpg"),
    "animated": _bytes(_animated(), "photo.gif"),
    "grey": _bytes(encoded("PNG", "L")),
    "one pixel": _bytes(encoded("PNG", side=1)),
    "a name of another script": _bytes(encoded("PNG"), "写真 🐶.png"),
    "an empty caption": _caption(b""),
}


def verdicts(setting: Setting, folder: Path, count: int) -> Verdicts:
    """Listed, then torn and overwritten at random places."""
    place = folder / "photos"
    found = [(name, refused(partial(_read, place, fill), "photo")) for name, fill in BAD.items()]
    found += [(name, accepted_or_refused(partial(_read, place, fill))) for name, fill in GOOD.items()]
    found += [(f"{side} px", refused(partial(read_folder, place, side, SIDE), str(side))) for side in (0, -8, 24, 33)]
    found.append(("no folder", refused(lambda: read_folder(folder / "none", SIDE, SIDE), "none")))
    for kind in ("PNG", "JPEG", "WEBP", "GIF"):
        whole = encoded(kind)
        places = st.tuples(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=8))
        found += examples(st.integers(0, len(whole) - 3), count // 2, partial(_torn, place, whole))
        found += examples(places, count // 2, partial(_overwritten, place, whole))
    return found


def _torn(place: Path, whole: bytes, at: int) -> list[str]:
    return refused(lambda: _read(place, _bytes(whole[:at])), "photo")


def _overwritten(place: Path, whole: bytes, where: tuple[int, bytes]) -> list[str]:
    at, by = where
    content = whole[:at] + by + whole[at + len(by) :]
    return accepted_or_refused(lambda: _read(place, _bytes(content)), "photo")


def _read(place: Path, fill: Fill) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    fill(place)
    for photo in read_folder(place, SIDE, SIDE):
        if photo.pixels.shape != (3, SIDE, SIDE):
            raise AssertionError(f"{photo.name} has the shape {photo.pixels.shape}")

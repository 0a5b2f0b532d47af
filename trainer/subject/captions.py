"""Captions: `photo.txt` beside `photo.png`, as every trainer of the field reads them."""

from __future__ import annotations

from pathlib import Path

from .decoding import PhotoError

_MAX_BYTES = 10_000


def read_caption(photo: Path) -> str | None:
    """The caption beside a photo, on one line; None without one or if it is empty.

    UTF-8, with or without a byte order mark. Raises PhotoError for another encoding, for more than
    10,000 bytes, and for a link that leads out of the folder.
    """
    path = photo.with_suffix(".txt")
    if not path.is_file():
        return None
    require_inside(path, path.parent)
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise PhotoError(
            f"caption '{path}' is {size:,} bytes long, at most {_MAX_BYTES:,} are read: shorten it to a sentence"
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PhotoError(f"caption '{path}' is not UTF-8 ({error}): save it as UTF-8") from error
    # UTF-16 of plain English is valid UTF-8 with a NUL after each letter.
    if "\0" in text:
        raise PhotoError(f"caption '{path}' is not UTF-8 (it holds NUL bytes): save it as UTF-8")
    return " ".join(text.split()) or None


def require_inside(path: Path, folder: Path) -> None:
    """Raises PhotoError if `path` is a link that leads out of `folder`."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    # Before Python 3.13 links that lead in a circle are a RuntimeError.
    except (OSError, RuntimeError) as error:
        raise PhotoError(f"photo '{path}' is a link that leads nowhere ({error}): put a copy there") from error
    if not inside:
        raise PhotoError(f"'{path}' is a link that leads out of its folder: put a copy there")

"""Text files as people's editors write them: UTF-8, with or without a byte order mark, or UTF-16 with one."""

from __future__ import annotations

import codecs
from pathlib import Path


def read_text(path: Path) -> str:
    """The text in a file. Raises OSError; ValueError for another encoding, saying what to do."""
    data = path.read_bytes()
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 ({error}): save it as UTF-8") from error
    # UTF-16 of plain English without a mark is valid UTF-8 with a NUL after each letter.
    if "\0" in text:
        raise ValueError("not UTF-8 (it holds NUL bytes): save it as UTF-8")
    return text

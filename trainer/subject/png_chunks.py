"""A PNG without the chunks that say nothing of its pixels: comments, workflows, times."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
OF_PIXELS = {b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"eXIf"}
"""Chunks besides the critical ones that tell how pixels look."""


def png_without_texts(data: bytes) -> bytes:
    """The PNG with its critical chunks, and with those of OF_PIXELS that are whole.

    Whatever else a program wrote beside the pixels, damaged or larger than a reader allows, is no fault of theirs.
    """
    kept, place = [SIGNATURE], len(SIGNATURE)
    while place + 8 <= len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        chunk = data[place : place + 12 + size]
        name = chunk[4:8]
        critical = not name[:1].islower()
        whole = len(chunk) == 12 + size and zlib.crc32(chunk[4:-4]) == struct.unpack(">I", chunk[-4:])[0]
        if critical or (name in OF_PIXELS and whole):
            kept.append(chunk)
        place += len(chunk)
    return b"".join(kept)


def coding_points(data: bytes) -> tuple[int, int] | None:
    """The primaries and the transfer function that a PNG's cICP chunk names, by ITU-T H.273; None without one."""
    for name, content in _chunks(data):
        if name == b"IDAT":
            break
        if name == b"cICP" and len(content) == 4:
            return content[0], content[1]
    return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, contents) of a PNG's chunks."""
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        place += 12 + size

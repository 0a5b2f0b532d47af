"""A PNG without the chunks that say nothing of its pixels: comments, workflows, times."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
OF_PIXELS = {b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"eXIf"}
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

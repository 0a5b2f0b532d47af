"""Cameras' RAW files, of which Pillow can read a small preview at most, and the full picture among a TIFF's frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RAW_SUFFIXES = frozenset(
    {
        *(".3fr", ".ari", ".arw", ".bay", ".braw", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dcs", ".dng", ".drf"),
        *(".eip", ".erf", ".fff", ".gpr", ".iiq", ".k25", ".kdc", ".mdc", ".mef", ".mos", ".mrw", ".nef", ".nrw"),
        *(".orf", ".ori", ".pef", ".ptx", ".pxn", ".r3d", ".raf", ".raw", ".rw2", ".rwl", ".rwz", ".sr2", ".srf"),
        *(".srw", ".x3f"),
    }
)
"""The ends of RAW files' names."""
STARTS = ((0, b"FUJIFILMCCD-RAW"), (0, b"IIRO"), (0, b"IIRS"), (0, b"MMOR"), (0, b"IIU\0"), (0, b"FOVb"), (0, b"\0MRM"))
"""(place, bytes) by which RAW files that are no TIFF are recognised: Fujifilm, Olympus, Panasonic, Sigma, Minolta."""
MORE_STARTS = ((6, b"HEAPCCDR"), (4, b"ftypcrx "), (8, b"CR\x02\0"))
"""The same of Canon's: CRW, CR3, and CR2, which is a TIFF."""
NEW_SUBFILE, OLD_SUBFILE, COMPRESSION, PHOTOMETRIC, DNG_VERSION = 254, 255, 259, 262, 50706
"""TIFF's tags that tell a RAW file or a preview."""
RAW_PHOTOMETRICS = {32803, 34892}
"""Values of a sensor's mosaic, and of linear ones."""
RAW_COMPRESSIONS = {32767, 34713, 65535}
"""Sony's, Nikon's and Pentax's compression of RAW values."""
NO_PICTURE = 0b101
"""The bits of a frame that is a reduced version of another, or a mask."""
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a TIFF, of a BigTIFF too."""
START = 32
"""Bytes that files are recognised by."""


def is_raw(start: bytes, path: Path) -> bool:
    """Whether a file is a camera's RAW file, by its first 32 bytes and, where it is a TIFF, by the end of its name."""
    if any(start[place:].startswith(mark) for place, mark in (*STARTS, *MORE_STARTS)):
        return True
    return start[:4] in TIFF and path.suffix.casefold() in RAW_SUFFIXES


def seek_full_picture(tiff: Any) -> bool:
    """Move an opened TIFF to its first frame that is a picture; False where it holds only previews, or RAW values."""
    for index in range(getattr(tiff, "n_frames", 1)):
        tiff.seek(index)
        tags = tiff.tag_v2
        if DNG_VERSION in tags or tags.get(PHOTOMETRIC) in RAW_PHOTOMETRICS:
            return False
        if tags.get(COMPRESSION) in RAW_COMPRESSIONS:
            return False
        if not _bits(tags.get(NEW_SUBFILE)) & NO_PICTURE and _bits(tags.get(OLD_SUBFILE)) != 2:
            return True
    return False


def _bits(value: Any) -> int:
    """A tag's value as a number; 0 where it is none."""
    return value if isinstance(value, int) else 0

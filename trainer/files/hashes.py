"""The two hashes by which other programs (kohya's scripts, the WebUI) identify a model file."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_sha256(file: Path) -> str:
    """The SHA-256 (hex) of all bytes of a file: kohya's ss_new_sd_model_hash."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def short_hash(file: Path) -> str:
    """The first eight hex digits of the SHA-256 of the 64 KiB that begin at byte 1 MiB: the older ss_sd_model_hash."""
    with file.open("rb") as stream:
        stream.seek(0x100000)
        return hashlib.sha256(stream.read(0x10000)).hexdigest()[:8]

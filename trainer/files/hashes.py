"""Hashes of files, among them the two by which other programs (kohya's scripts, the WebUI) identify a model file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
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


def digest_of(files: Iterable[Path]) -> str:
    """SHA-256 (hex) of the files' names and contents, in the order of their names."""
    whole = hashlib.sha256()
    for file in sorted(files):
        whole.update(f"{file.name} {file.stat().st_size} ".encode())
        whole.update(file.read_bytes())
    return whole.hexdigest()

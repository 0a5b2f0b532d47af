"""Hashes by which other tools know a model file."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_sha256(file: Path) -> str:
    """SHA-256 (hex) of a file's bytes: kohya's ss_new_sd_model_hash."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def short_hash(file: Path) -> str:
    """The older short hash, ss_sd_model_hash: SHA-256 of 64 KiB from 1 MiB on, its first eight digits."""
    with file.open("rb") as stream:
        stream.seek(0x100000)
        return hashlib.sha256(stream.read(0x10000)).hexdigest()[:8]

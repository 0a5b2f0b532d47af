"""Hashes of large files, kept on disk, so that a file that did not change is not read again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .atomic import write_json

log = logging.getLogger(__name__)
HEADER = 1 << 16
"""The bytes at a file's start that are compared: a safetensors header, or most of it."""
BLOCKS, BLOCK = 64, 4096
"""The number of blocks spread over a file that are compared, and their bytes."""


@dataclass(frozen=True)
class KeptHashes:
    """The kept hashes of files. file: the JSON file that holds them."""

    file: Path

    def of(self, path: Path, kind: str, compute: Callable[[], str]) -> str:
        """The hash of this kind of the file at `path`: the kept one where the file is as it was, else what `compute`
        returns, which is kept.

        A file is as it was where path, size, time, inode, its start and 64 blocks spread over it are: so a file that
        was replaced and given the old time is read anew.
        """
        known, name, identity = self._read(), str(path.resolve()), _identity(path)
        entry = known.get(name, {})
        if entry.get("identity") != identity:
            entry = {"identity": identity}
        if not isinstance(entry.get(kind), str):
            entry[kind] = compute()
            self._write({**self._read(), name: entry})
        return str(entry[kind])

    def _read(self) -> dict[str, Any]:
        """All entries by path; none where the file is missing or damaged."""
        try:
            known = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read (%s); hashes are computed anew.", self.file, error)
            return {}
        return {name: entry for name, entry in known.items() if isinstance(entry, dict)} if known else {}

    def _write(self, known: dict[str, Any]) -> None:
        """Keep the entries; where that is not possible, they are computed again the next time."""
        try:
            write_json(known, self.file)
        except OSError as error:
            log.warning("%s cannot be written (%s); hashes are not kept.", self.file, error)


def _identity(path: Path) -> list[Any]:
    """What tells a file from another one at the same path, without reading all of it."""
    status, digest = path.stat(), hashlib.sha256()
    with path.open("rb") as stream:
        digest.update(stream.read(HEADER))
        for number in range(BLOCKS):
            stream.seek(max(0, status.st_size - BLOCK) * number // (BLOCKS - 1))
            digest.update(stream.read(BLOCK))
    return [status.st_size, status.st_mtime_ns, status.st_ino, digest.hexdigest()]

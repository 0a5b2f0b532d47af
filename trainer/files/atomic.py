"""Atomic file writes: a file is written under a temporary name and renamed, so it is complete or does not exist."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..operating_system import replace_path, require_path_length


def write_json(value: Any, path: Path) -> Path:
    """Write a value as JSON, atomically, with the keys in the order given."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def next_numbered_path(folder: Path, name: str, suffix: str = ".safetensors") -> Path:
    """The path `folder/name_00001suffix`, with the number after the highest one in use, so no file is overwritten.

    Creates the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken = numbered_files(folder, name, suffix)
    return folder / f"{name}_{max(taken, default=0) + 1:05d}{suffix}"


def numbered_files(folder: Path, name: str, suffix: str = ".safetensors") -> dict[int, Path]:
    """{number: file} of the files in `folder` that are named as `next_numbered_path` names them."""
    pattern = re.compile(rf"{re.escape(name)}_(\d{{5}}){re.escape(suffix)}", re.IGNORECASE)
    return {int(hit[1]): file for file in folder.iterdir() if (hit := pattern.fullmatch(file.name))}


def write_atomically(path: Path, write: Callable[[Path], Any]) -> Path:
    """Write `path` atomically: `write` fills a temporary file beside it, which is then synced to disk and renamed.

    Where `write` raises, the temporary file is removed and `path` is unchanged. An existing `path` is replaced.
    """
    require_path_length(path, len(".12345678.part."))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        write(Path(part))
        Path(part).chmod(0o644)
        _force_to_disk(Path(part))
        replace_path(Path(part), path)
    finally:
        Path(part).unlink(missing_ok=True)
    return path


def remove_temporary_files(folder: Path, name: str = ".+", at_least: float = 0.0) -> None:
    """Remove the temporary files that killed writers of `write_atomically` have left in `folder`.

    name: a regular expression for the whole name of a file that was being written, in any case. Call it only where
    nobody writes such files at the time: either the caller holds the lock under which they are written, or it passes
    at_least, an age in seconds that no file still being written has.
    """
    left = re.compile(rf"\.{name}\.[a-z0-9_]{{8}}\.part", re.IGNORECASE)
    for file in folder.iterdir() if folder.is_dir() else ():
        if left.fullmatch(file.name) and file.is_file() and time.time() - file.stat().st_mtime >= at_least:
            file.unlink(missing_ok=True)


def _force_to_disk(file: Path) -> None:
    """Sync the file to disk (fsync); otherwise a power failure may leave the new name with none of its contents."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())

"""Files that are written whole or not at all, and never over another: a temporary name, then a rename."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_json(value: Any, path: Path) -> Path:
    """Write JSON as a whole or not at all, keys in the order given."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def numbered(folder: Path, name: str, suffix: str = ".safetensors") -> Path:
    """`folder/name_00001suffix`, or the next number that no file has: nothing is overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = numbered_files(folder, name, suffix)
    return folder / f"{name}_{max(taken, default=0) + 1:05d}{suffix}"


def numbered_files(folder: Path, name: str, suffix: str = ".safetensors") -> dict[int, Path]:
    """{number: file} of all that `numbered` has named so."""
    pattern = re.compile(rf"{re.escape(name)}_(\d{{5}}){re.escape(suffix)}", re.IGNORECASE)
    return {int(hit[1]): file for file in folder.iterdir() if (hit := pattern.fullmatch(file.name))}


def write_whole(path: Path, write: Callable[[Path], Any]) -> Path:
    """Let `write` fill a temporary file beside `path`, then rename it; where `write` raises, nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        write(Path(part))
        Path(part).chmod(0o644)
        _force_to_disk(Path(part))
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)
    return path


def remove_parts(folder: Path, name: str = ".+", at_least: float = 0.0) -> None:
    """Remove what writers that were killed have left of files with this name (a pattern) in `folder`.

    Only where nobody writes such files at the time: the caller holds the lock under which they are written, or says
    that they are at_least so many seconds old.
    """
    left = re.compile(rf"\.{name}\.[a-z0-9_]{{8}}\.part", re.IGNORECASE)
    for file in folder.iterdir() if folder.is_dir() else ():
        if left.fullmatch(file.name) and file.is_file() and time.time() - file.stat().st_mtime >= at_least:
            file.unlink(missing_ok=True)


def _force_to_disk(file: Path) -> None:
    """Or a power failure may leave the new name with none of its contents."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())

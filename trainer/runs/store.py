"""The folders that results go into, and what is kept of the bases that they came from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ..files.atomic import numbered, remove_parts, write_json
from ..files.safetensors import write_tensors
from ..model.source import CheckpointFile, Source, contents_of

LOCK = ".dreambooth.lock"
NUMBERED = r".+_\d{5}\.safetensors"
"""What `numbered` calls a file."""


@dataclass(frozen=True)
class Store:
    """Where results go. loras, checkpoints: the host's folders; work: our own, for runs and bases."""

    loras: Path
    checkpoints: Path
    work: Path

    @contextmanager
    def new_file(self, method: str, name: str) -> Iterator[Path]:
        """A file name that nothing has yet, in the folder where the host looks for it.

        Within the context no other process of ours is given the same one, and what dead ones were writing is removed.
        """
        folder = self.loras if method == "lora" else self.checkpoints
        for place in (self.work, folder):
            place.mkdir(parents=True, exist_ok=True)
        # Two hosts may share the folder of results and not ours, or the other way round.
        with FileLock(self.work / LOCK), FileLock(folder / LOCK):
            remove_parts(folder, NUMBERED)
            remove_parts(self.kept_base("").parent)
            yield numbered(folder, name)

    def kept_base(self, fingerprint: str) -> Path:
        """Where the weights that full results were trained from are kept."""
        return self.work / "bases" / f"{fingerprint[:24]}.safetensors"

    def keep_shapes(self, source: Source, fingerprint: str) -> None:
        """Keep the names and shapes of a base's tensors: a LoRA's layers are named after them."""
        kept = self._shapes_file(fingerprint)
        if not kept.is_file():
            write_json(dict(source.shapes), kept)

    def kept_shapes(self, fingerprint: str) -> dict[str, tuple[int, ...]] | None:
        """Names and shapes of a base's tensors, or None where nothing was trained from it here."""
        kept = self._shapes_file(fingerprint)
        if not kept.is_file():
            return None
        return {key: tuple(shape) for key, shape in json.loads(kept.read_text(encoding="utf-8")).items()}

    def _shapes_file(self, fingerprint: str) -> Path:
        return self.kept_base(fingerprint).with_suffix(".json")

    def keep_base(self, source: Source, fingerprint: str) -> Path:
        """Keep the weights that a full result was trained from: its patch is the difference."""
        kept = self.kept_base(fingerprint)
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, CheckpointFile):
                # A link shares the user's own file, whose mode and contents are not touched.
                part = kept.with_name(f".{kept.name}.{os.getpid():08d}.part")
                part.unlink(missing_ok=True)
                _link_or_copy(source.path, part)
                os.replace(part, kept)
            else:
                write_tensors(contents_of(source), kept, {})
        return kept


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        # Of a symbolic link, its file: the link may lead nowhere from another folder, or some day.
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)

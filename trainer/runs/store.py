"""The folders for results, and the base models that are kept there for later conversions."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock

from ..files.atomic import next_numbered_path, remove_temporary_files, write_json
from ..files.kept_hashes import KeptHashes
from ..files.safetensors import write_tensors
from ..operating_system import replace_path
from .personalized import DIFFUSERS_WORD, WORD_OF, Personalized, word_name

if TYPE_CHECKING:
    # A host that trains in another process may have another torch, or none.
    from ..model.source import Source

LOCK = ".dreambooth.lock"
"""The name of the lock file under which result files are named and written."""
NUMBERED = r".+_\d{5}\.safetensors"
"""The pattern of file names that `next_numbered_path` gives."""


@dataclass(frozen=True)
class Store:
    """The folders for results. loras, checkpoints, learned_words: the host's folders; work: this package's own folder,
    for runs and bases.

    word: how the host's prompts say a learned word, where {name} is its file's name without the ending and {identifier}
    the word as it was trained; by default as diffusers' do.
    """

    loras: Path
    checkpoints: Path
    work: Path
    learned_words: Path | None = None
    word: str = DIFFUSERS_WORD

    @property
    def embeddings(self) -> Path:
        """The folder for learned words: the host's, else `embeddings` beside the work folder."""
        return self.learned_words or self.work.parent / "embeddings"

    @property
    def folders(self) -> dict[str, Path]:
        """{kind of result: the folder for it}."""
        return {"loras": self.loras, "checkpoints": self.checkpoints, "embeddings": self.embeddings}

    @property
    def hashes(self) -> KeptHashes:
        """The kept hashes of base models."""
        return KeptHashes(self.work / "hashes.json")

    def files_of(self, result: Personalized) -> tuple[Path, ...]:
        """The files of a result: its own, and the learned word's that belongs to it."""
        if not result.word_file:
            return (result.file,)
        return result.file, self._word_folder(result.file) / f"{result.word_file}.safetensors"

    def _word_folder(self, file: Path) -> Path:
        """The folder of the learned word that belongs to a file: the host's, for a result in its folders."""
        hosts = {folder.resolve() for folder in self.folders.values()}
        return self.embeddings if file.parent.resolve() in hosts else file.parent

    @contextmanager
    def new_file(
        self, kind: Literal["loras", "checkpoints", "embeddings"], name: str, with_word: bool = False
    ) -> Iterator[Path]:
        """A context with a path for a new result, in the host's folder for its kind, under a name that is not in use.
        with_word: nor by a learned word, so that one may be written beside it (see `word_path`).

        Within the context no other process of this package gets the same path. Temporary files of processes that died
        are removed.
        """
        folders = dict.fromkeys([self.folders[kind], *([self.embeddings] if with_word else [])])
        for place in (self.work, *folders):
            place.mkdir(parents=True, exist_ok=True)
        with ExitStack() as locks:
            # Two hosts may share the folder of results and not the work folder, or the other way round.
            for place in (self.work, *folders):
                locks.enter_context(FileLock(place / LOCK))
            for folder in folders:
                remove_temporary_files(folder, NUMBERED)
            remove_temporary_files(self.kept_base("").parent)
            free = next_numbered_path(self.folders[kind], name)
            if with_word:
                beside = next_numbered_path(self.embeddings, word_name(name))
                free = free.with_name(max(free.name, f"{name}{beside.name.removeprefix(word_name(name))}"))
            yield free

    def word_path(self, file: Path) -> Path:
        """The path of the learned word's file that belongs to a result's file; of a step that is kept in its run's
        folder, beside it.
        """
        folder = self._word_folder(file)
        return folder / (f"{WORD_OF}{file.name}" if folder == file.parent else f"{word_name(file.stem)}{file.suffix}")

    def kept_base(self, fingerprint: str) -> Path:
        """The path where the base with this fingerprint is kept, if full fine-tuning started from it."""
        return self.work / "bases" / f"{fingerprint[:24]}.safetensors"

    def keep_shapes(self, source: Source, fingerprint: str) -> None:
        """Keep the names and shapes of a base's tensors, from which a LoRA's layer names are derived later."""
        kept = self._shapes_file(fingerprint)
        if not kept.is_file():
            write_json(dict(source.shapes), kept)

    def kept_shapes(self, fingerprint: str) -> dict[str, tuple[int, ...]] | None:
        """The names and shapes of a base's tensors; None where they are not kept."""
        kept = self._shapes_file(fingerprint)
        if not kept.is_file():
            return None
        return {key: tuple(shape) for key, shape in json.loads(kept.read_text(encoding="utf-8")).items()}

    def _shapes_file(self, fingerprint: str) -> Path:
        """The path of a base's names and shapes."""
        return self.kept_base(fingerprint).with_suffix(".json")

    def keep_base(self, source: Source, fingerprint: str) -> Path:
        """Keep the weights that a full result was trained from, so that their difference can be computed; returns their
        path.

        A checkpoint file is linked where possible, other sources are written in the original layout.
        """
        from ..model.source import CheckpointFile, lazy_tensors_of

        kept = self.kept_base(fingerprint)
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, CheckpointFile):
                # A hard link shares the user's file, whose mode and contents are not changed.
                part = kept.with_name(f".{kept.name}.{os.getpid():08d}.part")
                part.unlink(missing_ok=True)
                _link_or_copy(source.path, part)
                replace_path(part, kept)
            else:
                write_tensors(lazy_tensors_of(source), kept, {})
        return kept


def _link_or_copy(source: Path, target: Path) -> None:
    """Create `target` as a hard link to `source`, or as a copy where links are not possible."""
    try:
        # A symbolic link is resolved, because it may be relative, or broken later.
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)

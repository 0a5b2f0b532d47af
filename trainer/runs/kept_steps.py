"""The weights of a run's scored steps, as files in its own folder: what its result is chosen from, also afterwards."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .personalized import Personalized, read_personalized

MOST = 12
"""The number of steps whose files are kept, beside those that are needed."""
MOST_BYTES = 2 * 2**30
"""Bytes of these files together."""


@dataclass(frozen=True)
class KeptSteps:
    """The files `step_<step>.safetensors` in `folder`, which need not exist. word: see `Store`."""

    folder: Path
    word: str

    def path(self, step: int) -> Path:
        """The path of the file with the weights after `step` steps."""
        return self.folder / f"step_{step:06d}.safetensors"

    def steps(self) -> list[int]:
        """The steps that have a file, in order."""
        return sorted(int(file.stem.removeprefix("step_")) for file in self.folder.glob("step_[0-9]*.safetensors"))

    def file_of(self, step: int) -> Personalized | None:
        """The result after `step` steps; None where it was not kept. Raises CheckpointError for a damaged file."""
        path = self.path(step)
        return read_personalized(path, self.word) if path.is_file() else None

    def bound(self, needed: Collection[int], most: int = MOST) -> None:
        """Delete files until `most` are left and their bytes are bounded; never those of the steps that are needed.

        Of the others that goes first whose neighbours are the nearest to each other, so that what is left is spread
        over the run.
        """
        while (spare := self._spare(needed)) and (len(self.steps()) > most or self._bytes() > MOST_BYTES):
            self.path(spare).unlink(missing_ok=True)

    def _bytes(self) -> int:
        """The size of all files."""
        return sum(self.path(step).stat().st_size for step in self.steps())

    def _spare(self, needed: Collection[int]) -> int | None:
        """The step that is missed the least; None where all are needed."""
        steps = self.steps()
        around = [0, *steps, steps[-1] + 1 if steps else 0]
        gaps = {step: around[place + 2] - around[place] for place, step in enumerate(steps) if step not in needed}
        return min(gaps, key=lambda step: (gaps[step], step)) if gaps else None

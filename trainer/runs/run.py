"""A run on disk: the folder `runs/<key>` with its record `run.json`, its sample images and its resumable state."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..events import Scored, Step, Validated
from ..files.atomic import remove_temporary_files, write_json
from ..operating_system import same_drive
from .kept_steps import KeptSteps
from .personalized import Personalized, read_personalized
from .record import FORMAT, read_record
from .run_log import RunLog
from .sample_pictures import SamplePictures
from .store import Store

DONE = ("finished", "kept")
"""The statuses of a run whose newest file is its result."""


class RunInUse(RuntimeError):
    """Another process is training the same run."""


@dataclass
class Run:
    """One run's folder and record. key: see `Request.key`. record: the contents of `run.json`."""

    key: str
    store: Store
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """`runs/` and the key's first 24 digits, in the store's work folder."""
        return self.store.work / "runs" / self.key[:24]

    @property
    def state(self) -> Path:
        """The file of an unfinished run's resumable state."""
        return self.folder / "state.safetensors"

    @property
    def log(self) -> RunLog:
        """The log of this run."""
        return RunLog(self.folder / "log.txt")

    @property
    def kept(self) -> KeptSteps:
        """The files of this run's scored steps."""
        return KeptSteps(self.folder / "scored", self.store.word)

    @property
    def samples(self) -> SamplePictures:
        """The sample images of this run."""
        return SamplePictures(self.folder / "samples")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A context in which this process holds the run's lock. Raises RunInUse where another process does.

        The lock of a process that died is free. Its temporary files are removed, and the record is read again, because
        another process may have continued the run meanwhile.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise RunInUse(
                f"This very run is being trained by another process ({self.folder}). Wait for it, or change the seed."
            ) from error
        try:
            remove_temporary_files(self.folder)
            remove_temporary_files(self.samples.folder)
            remove_temporary_files(self.kept.folder)
            self.record = open_run(self.key, self.store).record
            yield
        finally:
            lock.release()

    def write(self, **changes: Any) -> None:
        """Change fields of the record, and write it atomically."""
        self.record.update(changes)
        write_json({"format": FORMAT, "key": self.key, **self.record}, self.folder / "run.json")

    def add_file(self, result: Personalized) -> None:
        """Add a file of this run to its record, with the trigger that calls it."""
        entry = {"step": result.steps, "file": relative(result.file, self.store)}
        self.write(files=[*self.record.get("files", []), entry], trigger=result.trigger)

    def scores(self) -> list[Scored]:
        """The scores in the record, by step; empty where none were made."""
        return [Scored(**point) for point in self.record.get("scores", [])]

    def base_scores(self) -> Scored | None:
        """The scores of the base in the record."""
        found = self.record.get("base_scores")
        return None if not found else Scored(**found)

    def write_scores(self, scorer: str, base: Scored, points: Sequence[Scored]) -> None:
        """Record the scores of the base and of steps so far. scorer: its fingerprint."""
        self.write(scorer=scorer, base_scores=asdict(base), scores=[asdict(point) for point in points])

    def validation(self) -> list[Validated]:
        """The losses on the photo that is held out in the record, by step; empty where none is."""
        return [Validated(**point) for point in self.record.get("validation", [])]

    def write_validation(self, points: Sequence[Validated]) -> None:
        """Record the losses on the photo that is held out."""
        self.write(validation=[asdict(point) for point in points])

    def finish(
        self,
        status: str,
        curve: Sequence[Step],
        seconds: Mapping[str, float],
        fixed: Sequence[tuple[int, float]] = (),
    ) -> None:
        """Record the end of the run. curve: its losses, one or more. seconds: {phase: its duration}. fixed: see
        `LossCurve.fixed`.
        """
        self.write(
            status=status,
            seconds={name: round(value, 3) for name, value in seconds.items()},
            steps_per_second=round(curve[-1].steps_per_second, 3),
            losses=[asdict(point) for point in curve],
            fixed_losses=[list(point) for point in fixed],
        )

    def fail(self, error: str, curve: Sequence[Step] = ()) -> None:
        """Record that the run failed. error: for the user. curve: the losses until then."""
        self.write(status="failed", error=error, losses=[asdict(point) for point in curve])

    def losses(self) -> list[Step]:
        """The loss curve in the record; empty before the run has ended."""
        return [Step(**point) for point in self.record.get("losses", [])]

    def result(self) -> Personalized | None:
        """The result, if this run is finished or kept and the file still exists."""
        return self.file() if self.record.get("status") in DONE else None

    def keep(self) -> None:
        """Declare a stopped run's file its result, and remove its state."""
        self.write(status="kept")
        self.state.unlink(missing_ok=True)

    def file(self) -> Personalized | None:
        """The newest file of this run, finished or not, if it still exists in the host's folders."""
        files = self.record.get("files")
        return self._read(files[-1]) if files else None

    def file_of(self, step: int) -> Personalized | None:
        """The file with the weights after `step` steps, if it still exists in the host's folders."""
        entries = [one for one in self.record.get("files", []) if one["step"] == step]
        return self._read(entries[-1]) if entries else None

    def _read(self, entry: Mapping[str, Any]) -> Personalized | None:
        """The result of a record's entry; None where its file does not exist or lies outside the host's folders."""
        file = (self.store.work.parent / entry["file"]).resolve()
        if file.parent not in (folder.resolve() for folder in self.store.folders.values()) or not file.is_file():
            return None
        return read_personalized(file, self.store.word)


def open_run(key: str, store: Store) -> Run:
    """The run with this key, with its record where it has one. Raises CheckpointError."""
    run = Run(key, store)
    record = run.folder / "run.json"
    if record.is_file():
        run.record = read_record(record)
    return run


def relative(file: Path, store: Store) -> str:
    """A file's path relative to the host's output folder, with forward slashes; absolute on another drive."""
    if not same_drive(file.resolve(), store.work.resolve()):
        return file.resolve().as_posix()
    return Path(os.path.relpath(file, store.work.parent)).as_posix()

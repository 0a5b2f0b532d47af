"""The resumable state of a run on disk, from which it continues after a crash or a stop."""

from __future__ import annotations

import json
import shutil
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from ..distributed.ranks import FailedElsewhere
from ..events import Step, Tell, Warned
from ..files.safetensors import CheckpointError, read_metadata, read_tensors, write_tensors
from ..training.loss_curve import LossCurve
from ..training.snapshot import OtherLayers, Snapshot, restore_snapshot, take_snapshot
from ..training.step import Training
from ..wording import Wording

FORMAT = "2"
"""The version of state files."""
MARK, KEY, PROGRESS, CHECKSUM = (f"dreambooth.{name}" for name in ("state", "key", "progress", "checksum"))
"""The metadata fields of a state file."""
ROOM = 1.1
"""The free disk space that writing requires, as a multiple of the state's size."""


class StateError(CheckpointError):
    """A state from which a run cannot continue; the message names the file and the reason."""


def write_state(path: Path, key: str, training: Training, points: Sequence[Step]) -> None:
    """Write the state after `points`, atomically, in the first rank; the ranks of a sharded model call it together.

    Raises OSError where there is not enough disk space.
    """
    snapshot = take_snapshot(training, points)
    if not training.ranks.first:
        return
    needed = sum(tensor.nbytes for tensor in snapshot.tensors.values()) * ROOM
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(f"it takes {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free on the disk")
    said = {MARK: FORMAT, KEY: key, PROGRESS: json.dumps(snapshot.progress)}
    write_tensors(snapshot.tensors, path, {**said, CHECKSUM: checksum(snapshot.tensors, said)})


def restore(path: Path, key: str, training: Training) -> list[Step]:
    """Restore a training in all ranks from the first rank's state file; returns the completed steps and their losses.

    key: of the run. Raises StateError for a file that is damaged or of another run, and FailedElsewhere where another
    rank failed.
    """
    ranks, tensors = training.ranks, dict[str, Tensor]()
    try:
        progress = ranks.decided(lambda: _read(path, key, tensors))
        return restore_snapshot(Snapshot(ranks.shared(tensors), progress), training)
    except OtherLayers as error:
        raise StateError(f"{path} is of other layers than this run: {error}; delete it.") from error
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        if isinstance(error, StateError | FailedElsewhere):
            raise
        raise StateError(f"{path} does not hold the state that its header says ({error}); delete it.") from error


def _read(path: Path, key: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The progress in a state file, whose tensors are added to `tensors`. Raises StateError."""
    said = _header(path, key)
    tensors.update(read_tensors(path))
    if said.pop(CHECKSUM) != checksum(tensors, said):
        raise StateError(f"The state {path} is not as it was written (its checksum differs); delete it to train anew.")
    return dict(json.loads(said[PROGRESS]))


def checksum(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> str:
    """CRC-32 (hex) of a state: its metadata, and every tensor's name, dtype, shape and bytes, by name.

    It detects bits that a disk has flipped, not manipulation. The tensors must be contiguous and on the CPU.
    """
    total = zlib.crc32(json.dumps(dict(said), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, total)
    return f"{total:08x}"


def _header(path: Path, key: str) -> dict[str, str]:
    """The metadata of a state file. Raises StateError for a file that is damaged, of another version or of
    another run.
    """
    try:
        said = read_metadata(path)
    except CheckpointError as error:
        raise StateError(f"The state {path} is damaged; delete it to train anew. {error}") from error
    if MARK not in said:
        raise StateError(f"{path} is no state of a run of ours; move it away to train anew.")
    if said[MARK] != FORMAT:
        raise StateError(f"{path} was written by another version (format {said[MARK]}); delete it to train anew.")
    if said.get(KEY) != key:
        raise StateError(f"{path} is the state of another run; move it away to train anew.")
    return said


SHARE = 20
"""Writing states takes at most one part in this many of the training's time."""


@dataclass
class StateKeeper:
    """The writer of a run's state file. path: the file; key: of the run. seconds: between two writes, longer where
    writing takes long; 0 writes no state.

    steps: the number of steps done in the state on disk; 0 where there is none.
    """

    path: Path
    key: str
    seconds: float
    tell: Tell
    steps: int = 0
    _written: float = field(default_factory=time.monotonic)
    _took: float = 0.0

    def write_if_due(self, training: Training, curve: LossCurve) -> None:
        """Write the state if it is due; a state that cannot be written is a warning."""
        ranks = training.ranks
        if ranks.decided(self._is_due) if ranks.sharded else ranks.first and self._is_due():
            ranks.decided(curve.flush) if ranks.sharded else curve.flush()
            self.write(training, curve.points)

    def _is_due(self) -> bool:
        """Whether so much time has passed that the state is written."""
        return bool(self.seconds) and time.monotonic() - self._written > max(self.seconds, SHARE * self._took)

    def write(self, training: Training, points: Sequence[Step]) -> None:
        """Write the state after these steps; a full disk or a missing folder is a warning.

        Nothing is written after a step that was interrupted while it changed the weights.
        """
        if not self.seconds or not training.weights_consistent:
            return
        began = time.monotonic()
        try:
            write_state(self.path, self.key, training, points)
            self.steps = len(points)
        except OSError as error:
            lost = Wording(
                "The state of step {0} was not written, and the training goes on: {1}", str(len(points)), str(error)
            )
            self.tell(Warned(lost))
        self._written = time.monotonic()
        self._took = self._written - began

    def resume(self, training: Training, curve: LossCurve) -> None:
        """Restore `training` in all ranks, and `curve`, from the state, if there is one. Raises StateError for a state
        that does not match.
        """
        if training.ranks.decided(self.path.is_file):
            points = restore(self.path, self.key, training)
            self.steps = len(points)
            curve.resume(points)

    def remove(self) -> None:
        """Delete the state file, because the run is finished or the state is not worth continuing from."""
        if self.path.is_file():
            self.path.unlink(missing_ok=True)

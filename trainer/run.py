"""A run's folder and record: `runs/<key>` keeps `run.json` and the samples, and a finished run is found there."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .checkpoint import CheckpointError, write_json
from .events import Sample, Step
from .personalized import Personalized, read_personalized
from .priors import write_picture
from .store import Store

FORMAT = 1
log = logging.getLogger(__name__)


@dataclass
class Run:
    """One run's folder and what is written in its `run.json`."""

    key: str
    store: Store
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """`runs/<key>` under the store's own folder."""
        return self.store.work / "runs" / self.key[:24]

    def write(self, **changes: Any) -> None:
        """Change the record and write it, whole."""
        self.record.update(changes)
        write_json({"format": FORMAT, "key": self.key, **self.record}, self.folder / "run.json")

    def keep_sample(self, sample: Sample) -> None:
        """Write a sample's pictures as `samples/step_<n>_<i>.png`."""
        for index, image in enumerate(sample.images):
            write_picture(image, self.folder / "samples" / f"step_{sample.step:06d}_{index}.png")

    def samples(self) -> Tensor:
        """All sample pictures by step, [B, 3, H, W] in 0..1; B may be 0."""
        files = sorted((self.folder / "samples").glob("step_*.png"))
        pictures = [torch.from_numpy(np.array(Image.open(f).convert("RGB"))) for f in files]
        return torch.stack(pictures).permute(0, 3, 1, 2) / 255 if pictures else torch.zeros(0, 3, 8, 8)

    def losses(self) -> list[Step]:
        """The loss curve as it was written."""
        return [Step(**point) for point in self.record.get("losses", [])]

    def result(self) -> Personalized | None:
        """The finished result, if this run has one and its file is still there."""
        return self.file() if self.record.get("status") == "finished" else None

    def file(self) -> Personalized | None:
        """The newest file of this run, finished or stopped, if it is still in the host's folders."""
        if not self.record.get("files"):
            return None
        file = (self.store.work.parent / self.record["files"][-1]).resolve()
        if file.parent not in (self.store.loras.resolve(), self.store.checkpoints.resolve()) or not file.is_file():
            return None
        return read_personalized(file)


def open_run(key: str, store: Store) -> Run:
    """The run with this key, with its record if it has been begun before."""
    run = Run(key, store)
    record = run.folder / "run.json"
    if record.is_file():
        run.record = _read_record(record)
    return run


def results(store: Store) -> list[tuple[Run, Personalized]]:
    """Every usable result, finished or stopped, newest first; what cannot be read is logged and passed over."""
    records = sorted((store.work / "runs").glob("*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    found = []
    for path in records:
        try:
            record = _read_record(path)
            run = Run(record["key"], store, record)
            if (result := run.file()) is not None:
                found.append((run, result))
        except CheckpointError as error:
            log.warning("%s", error)
    return found


def relative(file: Path, store: Store) -> str:
    """The file's path as seen from the folder above ours, with forward slashes."""
    return Path(os.path.relpath(file, store.work.parent)).as_posix()


def points(curve: list[Step]) -> list[dict[str, Any]]:
    """The loss curve, ready for JSON."""
    return [asdict(point) for point in curve]


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is torn ({error}); move its folder away to train anew.") from error
    if not isinstance(record, dict) or record.pop("format", None) != FORMAT or "key" not in record:
        raise CheckpointError(f"{path} was written by another version; move its folder away to train anew.")
    return record

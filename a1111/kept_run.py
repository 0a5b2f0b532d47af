"""What a run has left in its folder, for a job that did not see it happen."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from PIL import Image

from ..trainer.runs.record import read_record
from .loss_svg import Point

log = logging.getLogger(__name__)


def kept_points(folder: Path) -> list[Point]:
    """The loss curve in the record. Raises CheckpointError for one that is torn."""
    losses = read_record(folder / "run.json").get("losses", [])
    return [(point["step"], point["instance"], point["prior"]) for point in losses]


def kept_scores(folder: Path) -> list[dict[str, Any]]:
    """The scores in the record, by step. Raises CheckpointError for one that is torn."""
    return list(read_record(folder / "run.json").get("scores", []))


def kept_samples(folder: Path) -> list[tuple[int, Image.Image]]:
    """(step, picture) by step; what cannot be read is logged and passed over."""
    found = []
    for file in sorted((folder / "samples").glob("step_*_*.png")):
        try:
            with Image.open(file) as picture:
                found.append((int(file.stem.split("_")[1]), picture.convert("RGB")))
        except (OSError, SyntaxError, ValueError) as error:
            log.warning("The picture %s cannot be read: %s", file, error)
    return found

"""Trainings at the real models' sizes, with random weights made on the spot; they need a GPU."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from ..measured_process import MeasurementError
from .comparison import Line, Trained, compare, record
from .contenders import KOHYA, OURS, OURS_KOHYA, THEIRS, Contender
from .limits import counted
from .making import make
from .materials import BOTH, CHECKPOINT, Task
from .rounds import Place, Round, take_rounds

NOT_MEASURED = "not measured: no GPU"
GIB = 2**30
CONTEXT = GIB // 2
"""What CUDA takes of a card for itself, beside what torch counts."""
STEPS = 40


@dataclass(frozen=True)
class RealRow:
    """base: of `preparation.prepare`. rivals: names of the contenders beside ours, where they are given."""

    name: str
    base: str
    resolution: int
    task: Task
    rivals: tuple[str, ...] = ()


LORA_2, LORA_8 = "SD 1.5 LoRA, 512 px, 2 + 2", "SD 1.5 LoRA, 512 px, 4 + 4"
SDXL_LORA, SDXL_FULL = "SDXL LoRA, 1024 px, within 8 GB", "SDXL full, 1024 px, within 12 GB"


def _task(method: str, batch_size: int = 1, **more: object) -> Task:
    return Task(method=method, steps=STEPS, batch_size=batch_size, layout="checkpoint", **more)  # type: ignore[arg-type]


ROWS = (
    RealRow(LORA_2, "sd1", 512, _task("lora", 2), (THEIRS, OURS_KOHYA, KOHYA)),
    RealRow(LORA_8, "sd1", 512, _task("lora", 4)),
    RealRow("SD 1.5 full, 512 px, 1 + 1", "sd1", 512, _task("full"), (THEIRS,)),
    RealRow(SDXL_LORA, "sdxl", 1024, _task("lora", memory_limit=8 * GIB - CONTEXT, options={"memory": "8 GB"})),
    RealRow(SDXL_FULL, "sdxl", 1024, _task("full", memory_limit=12 * GIB - CONTEXT, options={"memory": "12 GB"})),
)


@dataclass(frozen=True)
class RealResult:
    """A row's lines and rounds, or why there are none."""

    name: str
    lines: list[Line] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    failure: str = ""


def has_gpu() -> bool:
    """Asked in another process: this one stays small."""
    words = [sys.executable, "-c", "import torch; print(torch.cuda.is_available())"]
    return (
        subprocess.run(
            words, capture_output=True, text=True, encoding="utf-8", errors="replace", check=True
        ).stdout.strip()
        == "True"
    )


def measure_rows(sides: Sequence[Contender], rounds: int, output: Path, gpu: bool) -> list[RealResult]:
    """All rows; rows on the same base, one after the other, share their materials."""
    if not gpu:
        return [RealResult(row.name, failure=NOT_MEASURED) for row in ROWS]
    found: list[RealResult] = []
    for (base, resolution), rows in groupby(ROWS, key=lambda row: (row.base, row.resolution)):
        with tempfile.TemporaryDirectory(dir=output, prefix="materials-") as folder:
            # SDXL's folder would be another 7 GB, and no rival of its rows reads it.
            layouts = BOTH if base == "sd1" and any(side.name == THEIRS for side in sides) else CHECKPOINT
            materials = make(Path(folder), base, resolution, "auto", "cuda", layouts)
            found.extend(measure_row(row, Place(materials, output), sides, rounds) for row in rows)
    return found


def measure_row(row: RealRow, place: Place, sides: Sequence[Contender], rounds: int) -> RealResult:
    """One row; where it fails, as for want of memory, why."""
    materials = place.materials
    chosen = [side for side in sides if side.name == OURS or side.name in row.rivals]
    try:
        taken = take_rounds(place, row.task, chosen, rounds, row.name)
        (share,) = counted(materials, [replace(row.task, memory_limit=None)], place.output).shares
    except MeasurementError as error:
        return RealResult(row.name, failure=str(error).strip().splitlines()[-1])
    trained = Trained(row.name, row.task.method, materials.device, materials.precision, 2 * row.task.batch_size)
    return RealResult(row.name, compare(trained, chosen, taken, share), taken)


def rounds_of(results: list[RealResult]) -> dict[str, object]:
    """Every measurement, ready for JSON."""
    return {result.name: record(result.rounds) for result in results}

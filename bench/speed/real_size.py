"""Trainings at the real models' sizes, with random weights made on the spot; they need a GPU."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..measured_process import WARM_UP, MeasurementError
from .comparison import Line, Trained, compare, record
from .contenders import KOHYA, OURS, OURS_KOHYA, THEIRS, Contender
from .limits import counted
from .making import make
from .materials import Task
from .rounds import Place, Round, take_rounds

NOT_MEASURED = "not measured: no GPU"
GIB = 2**30
STEPS = 40


@dataclass(frozen=True)
class RealRow:
    """base: of `preparation.prepare`. rivals: names of the contenders beside ours, where they are given."""

    name: str
    base: str
    resolution: int
    task: Task
    rivals: tuple[str, ...] = ()


LITTLE_MEMORY = {"checkpointing": True}
"""TrainOptions of the rows within 8 and 12 GB: what the presets of that name choose belongs here."""

LORA_2, LORA_8 = "SD 1.5 LoRA, 512 px, 2 + 2", "SD 1.5 LoRA, 512 px, 4 + 4"
SDXL_LORA, SDXL_FULL = "SDXL LoRA, 1024 px, within 8 GB", "SDXL full, 1024 px, within 12 GB"


def _task(method: str, batch_size: int = 1, **more: object) -> Task:
    return Task(method=method, steps=STEPS, batch_size=batch_size, layout="checkpoint", **more)  # type: ignore[arg-type]


ROWS = (
    RealRow(LORA_2, "sd1", 512, _task("lora", 2), (THEIRS, OURS_KOHYA, KOHYA)),
    RealRow(LORA_8, "sd1", 512, _task("lora", 4)),
    RealRow("SD 1.5 full, 512 px, 1 + 1", "sd1", 512, _task("full"), (THEIRS,)),
    RealRow(SDXL_LORA, "sdxl", 1024, _task("lora", memory_limit=8 * GIB, options=LITTLE_MEMORY)),
    RealRow(SDXL_FULL, "sdxl", 1024, _task("full", memory_limit=12 * GIB, options=LITTLE_MEMORY)),
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
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == "True"


def measure_rows(sides: list[Contender], rounds: int, output: Path, gpu: bool) -> list[RealResult]:
    """All rows; a row that fails, as for want of memory, is told and stops no other."""
    if not gpu:
        return [RealResult(row.name, failure=NOT_MEASURED) for row in ROWS]
    found = []
    for row in ROWS:
        try:
            found.append(measure_row(row, sides, rounds, output, "cuda"))
        except MeasurementError as error:
            found.append(RealResult(row.name, failure=str(error).strip().splitlines()[-1]))
    return found


def measure_row(
    row: RealRow, sides: list[Contender], rounds: int, output: Path, device: str, precision: str = "auto"
) -> RealResult:
    """One row on materials of its own, removed afterwards. Raises MeasurementError."""
    with tempfile.TemporaryDirectory(dir=output, prefix="materials-") as folder:
        materials = make(Path(folder), row.base, row.resolution, precision, device)
        chosen = [side for side in sides if side.name == OURS or side.name in row.rivals]
        place = Place(materials, output, min(WARM_UP, row.task.steps // 2))
        taken = take_rounds(place, row.task, chosen, rounds, row.name)
        (share,) = counted(materials, [replace(row.task, memory_limit=None)], output).shares
    trained = Trained(row.name, row.task.method, device, materials.precision, 2 * row.task.batch_size)
    return RealResult(row.name, compare(trained, chosen, taken, share), taken)


def rounds_of(results: list[RealResult]) -> dict[str, object]:
    """Every measurement, ready for JSON."""
    return {result.name: record(result.rounds) for result in results}

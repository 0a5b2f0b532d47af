"""Has the materials made by a child, so that the process that measures stays small."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ..child import child
from ..measured_process import MeasurementError
from .materials import BOTH, Materials, read_materials
from .rounds import NO_GPU


def make(folder: Path, base: str, resolution: int, precision: str, device: str, layouts: str = BOTH) -> Materials:
    """As `preparation.prepare`. Raises MeasurementError; the reason is printed."""
    print(f"writing {base}, photos and class images of {resolution} pixels", flush=True)
    run("bench.speed.preparation", device, folder, base, resolution, precision, device, layouts)
    return read_materials(folder)


def run(module: str, device: str, *words: object) -> None:
    """Run `main` of a module that works on this device. Raises MeasurementError; the reason is printed."""
    environment = {**os.environ, **(NO_GPU if device == "cpu" else {})}
    if subprocess.run(child(module, *words), env=environment, check=False).returncode:
        raise MeasurementError(f"{module} failed; the reason stands above")

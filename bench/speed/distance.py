"""How far our trainings are from the machine's limit: measured peaks, and each task's roofline. A child process."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from ...trainer.events import never
from ...trainer.methods.registry import METHODS
from ...trainer.model.base import Base
from ...trainer.model.precision import forward_dtype
from ...trainer.runs.request import Request
from ...trainer.session.setup import build_training, encode_request
from ...trainer.training.step import Training
from .machine_limit import MachineLimit, measure_limit
from .materials import Materials, Task, heard, read_materials
from .ours import open_base, request_of
from .phases import phases_of
from .roofline import Cost, cost_of


def main(words: Sequence[str]) -> None:
    """MATERIALS FILE steps|phases TASK…: writes FILE, JSON of the machine's limit and of what each task costs."""
    folder, file, wanted, *tasks = words
    materials = read_materials(Path(folder))
    device = torch.device(materials.device)
    limit = measure_limit(device, forward_dtype(materials.precision, device))  # type: ignore[arg-type]
    found = [distance(materials, heard(task), limit, wanted == "phases") for task in tasks]
    Path(file).write_text(json.dumps({"limit": asdict(limit), "tasks": found}), encoding="utf-8")


def distance(materials: Materials, task: Task, limit: MachineLimit, with_phases: bool) -> dict[str, object]:
    """{"name": the method, "step": the cost of one step, "phases": seconds and floor of each, if wanted}."""
    with tempfile.TemporaryDirectory(dir=materials.folder) as name:
        step = step_cost(materials, task, limit, Path(name))
        phases = phases_of(materials, task, limit, step, Path(name)) if with_phases else []
    return {"name": task.method, "step": asdict(step), "phases": [asdict(phase) for phase in phases]}


def step_cost(materials: Materials, task: Task, limit: MachineLimit, folder: Path) -> Cost:
    """Of the second step: the first one makes the optimizer's states."""
    base = open_base(materials, task)
    training = begun(base, request_of(materials, task, base, folder / "step"))
    training.step(0)
    return cost_of(lambda: training.step(1), limit)


def begun(base: Base, request: Request) -> Training:
    """A training as `personalize` begins it."""
    method = METHODS[request.options.method]()
    method.attach(base, request.options)
    return build_training(base, method, request.options, encode_request(base, request, never))

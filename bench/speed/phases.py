"""Where the time of a training goes, beside the least that each phase can take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ...trainer.events import never
from ...trainer.model.base import Base
from ...trainer.model.precision import autocast, forward_dtype
from ...trainer.presets import PRIOR_GUIDANCE
from ...trainer.sampling.class_priors import draw_missing
from ...trainer.sampling.sampler import SamplerSettings, prior_drawer
from ...trainer.session.personalize import personalize
from ...trainer.session.setup import encode_request
from .machine_limit import MachineLimit, reading_seconds, writing_seconds
from .materials import Materials, Task
from .ours import open_base, recipe_of, request_of, store_in
from .roofline import Cost, cost_of

AT_ONCE = 8
"""Class images that are drawn in one batch."""


@dataclass(frozen=True)
class PhaseTime:
    """Seconds, and their floor: what of it is said by `what`."""

    name: str
    seconds: float
    floor: float
    what: str


def phases_of(materials: Materials, task: Task, limit: MachineLimit, step: Cost, folder: Path) -> list[PhaseTime]:
    """One training from its file to its file, and AT_ONCE class images drawn. Weights are in the system's cache."""
    began = time.perf_counter()
    base = open_base(materials, task)
    loading = time.perf_counter() - began
    reading = sum(map(reading_seconds, _weights_of(materials, task)))
    request = request_of(materials, task, base, folder / "phases")
    drawing = _class_images(base, materials, request.subject.width, limit, folder)
    encoding = cost_of(lambda: encode_request(base, request, never), limit)
    result, run = personalize(base, request, store_in(folder))
    seconds, size = run.record["seconds"], result.file.stat().st_size
    pictures = len(request.subject.photos) + (request.priors.total if request.priors else 0)
    return [
        PhaseTime("load", loading, reading, "reading the base's files once more"),
        drawing,
        PhaseTime("encode", seconds["encoding"], encoding.seconds, f"roofline of {pictures} pictures"),
        PhaseTime("train", seconds["training"], step.seconds * task.steps, f"roofline of {task.steps} steps"),
        PhaseTime("export", seconds["saving"], writing_seconds(folder, size), f"{size / 1e6:.1f} MB onto the disk"),
    ]


def _class_images(base: Base, materials: Materials, side: int, limit: MachineLimit, folder: Path) -> PhaseTime:
    """Drawn as the command line draws them: without guidance, in the forward's precision."""
    settings = SamplerSettings(width=side, height=side, sampler=base.sampler, guidance=PRIOR_GUIDANCE)
    recipe = recipe_of(base, settings)
    dtype = forward_dtype(materials.precision, base.device)  # type: ignore[arg-type]
    draw = prior_drawer(base, recipe)
    with autocast(dtype, base.device):
        floor = cost_of(lambda: draw(range(AT_ONCE)), limit).seconds
        began = time.perf_counter()
        draw_missing(recipe, AT_ONCE, folder / "priors", draw, AT_ONCE)
    return PhaseTime("priors", time.perf_counter() - began, floor, f"roofline of {AT_ONCE} pictures")


def _weights_of(materials: Materials, task: Task) -> list[Path]:
    if task.layout == "checkpoint":
        return [materials.checkpoint]
    return sorted(materials.diffusers_base.rglob("*.safetensors"))

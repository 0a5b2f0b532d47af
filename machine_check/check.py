"""The check: dtypes, one run from photos to file, then trainings, the most telling first, within five minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from ..trainer.model.families.stable_diffusion_1 import StableDiffusion1
from ..trainer.model.families.stable_diffusion_xl import StableDiffusionXL
from .dit import DiT, SmallDiT, dit_shapes
from .full_size import shapes_of
from .lifecycle import whole_run
from .machine import dtype_outcomes, machine_facts
from .outcome import NOT_RUN, Outcome
from .random_model import RandomModel
from .report import Report
from .trial import Trial, try_out

SECONDS = 290.0
"""Of a whole check, so that it ends within five minutes."""
SECONDS_OF_STEPS = {"cuda": 4.0, "mps": 6.0, "cpu": 2.0}
"""For which each training is timed."""
TOO_LATE = "five minutes were over"

Show = Callable[[str, int, int], None]
"""Told what comes next, how many parts are done, and how many there are; what it raises ends the check."""


@dataclass(frozen=True)
class Models:
    """The models of a check, all small or all of real size."""

    sd1: RandomModel
    sdxl: RandomModel
    dit: RandomModel


def models(small: bool) -> Models:
    """At their real sizes, or small."""
    family = SmallDiT if small else DiT
    size = "small " if small else ""
    return Models(
        RandomModel(f"{size}SD 1.5", lambda: StableDiffusion1, partial(shapes_of, "sd1", small), 64 if small else 512),
        RandomModel(f"{size}SDXL", lambda: StableDiffusionXL, partial(shapes_of, "sdxl", small), 64 if small else 1024),
        RandomModel(f"{size}DiT", lambda: family, partial(dit_shapes, small), 64 if small else 512),
    )


def trials(of: Models) -> list[Trial]:
    """All trainings, the most telling first."""
    return [
        Trial(of.sd1, "lora"),
        Trial(of.sdxl, "lora"),
        Trial(of.dit, "lora"),
        Trial(of.sd1, "full"),
        Trial(of.sd1, "lora", "fp16"),
        Trial(of.sd1, "lora", "bf16"),
        Trial(of.sd1, "lora", base_in_8_bits=True),
        Trial(replace(of.sd1, fp8=True), "lora"),
        Trial(of.sd1, "lora", "fp32"),
        Trial(of.dit, "full"),
        Trial(of.sdxl, "full"),
    ]


PARTS = len(trials(models(True))) + 2
"""Of a check: the trainings, the dtypes, and the run from photos to file."""


def check_machine(device: torch.device, show: Show, small: bool | None = None, seconds: float = SECONDS) -> Report:
    """Check `device`; nothing is downloaded, and what is written is removed again.

    small: small models instead of those of the real sizes; None: on all devices but CUDA. seconds: a training that
    would likely end later than this after the start is left out. Raises what `show` raises.
    """
    began = time.perf_counter()
    small = device.type != "cuda" if small is None else small
    rows, total = trials(models(small)), PARTS
    show("dtypes", 0, total)
    dtypes = dtype_outcomes(device)
    show("from photos to file", 1, total)
    run = whole_run(models(True).sd1, device)
    found: list[Outcome] = []
    for done, trial in enumerate(rows, 2):
        show(trial.name, done, total)
        found.append(_in_time(trial, device, began + seconds, found))
    show("report", total, total)
    return Report(machine_facts(device), dtypes, run, found, small, round(time.perf_counter() - began, 1))


def _in_time(trial: Trial, device: torch.device, end: float, before: list[Outcome]) -> Outcome:
    """The trial's outcome; NOT_RUN if, as slow as the slowest earlier trial of its model, it would end after `end`."""
    same = [one.seconds for one in before if one.name.startswith(trial.model.name)]
    if time.perf_counter() + max(same, default=0.0) > end:
        return Outcome(trial.name, NOT_RUN, TOO_LATE)
    return try_out(trial, device, SECONDS_OF_STEPS[device.type])

"""The memory plan of a run: the levers that make it fit, chosen by model, options, device and free memory.

Levers are tried in the order of their cost: recomputing activations changes the trained weights only by rounding, 8
bits and Adafactor change them more. So a run keeps the plan that it began with, which is in its record; its key depends
on the requested options alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch

from ..methods.registry import METHODS
from ..model.base import Base
from ..model.precision import forward_dtype
from ..model.source import Source
from ..options import TrainOptions
from ..options.choices import MethodName
from .footprint import Footprint, FootprintEstimator, Work
from .levers import Levers

CONTEXT = 0.6e9
"""Bytes of a GPU that a named budget reserves for the driver, the libraries' workspaces and the screen."""


def budget_of(options: TrainOptions, device: torch.device) -> int:
    """The bytes that a run may take: those of a GPU of the named size, or the free ones."""
    if options.memory in ("auto", "off"):
        return free_memory(device)
    return int(float(options.memory.split()[0]) * 1e9 - CONTEXT)


def free_memory(device: torch.device) -> int:
    """The bytes that a training can take on `device` now."""
    if device.type == "cuda":
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + idle
    return int(psutil.virtual_memory().available)


ALLOCATOR_OVERHEAD = 1.08
"""The ratio of allocated to counted bytes: the allocator's blocks are larger than the tensors in them."""
MOST_FOR_WEIGHTS = 5.5
"""An upper bound of the memory for weights, as a multiple of the model in float32: weights, gradients, AdamW's two
moments, a forward's copies in bf16, and the copy of the base that some priors compare with.
"""
BYTES_PER_PIXEL_BOUND = 16_000
"""An upper bound of the activations' bytes per pixel: SDXL's in float32. Where both bounds fit on a CPU, no footprint
is counted.
"""


METHOD_NAMES: dict[MethodName, str] = {
    "lora": "LoRA",
    "full": "full",
    "textual_inversion": "Textual Inversion",
    "dora": "DoRA",
    "lokr": "LoKr",
    "lidb": "LiDB",
}
"""{method: its name in a plan's text}."""


@dataclass(frozen=True)
class Plan:
    """The options of a run with the chosen levers. text: a description for the user, "" where nothing was counted.

    fits: whether the run is expected to fit.
    """

    options: TrainOptions
    text: str = ""
    fits: bool = True

    @property
    def levers(self) -> Levers:
        """The chosen levers."""
        return Levers.of(self.options)


def make_plan(
    source: Source,
    options: TrainOptions,
    size: tuple[int, int],
    with_priors: bool,
    device: torch.device,
    kept: Mapping[str, Any] | None = None,
    ranks: int = 1,
    sharded: bool = False,
    family: type[Base] | None = None,
) -> Plan:
    """The first plan that fits, or the last one where none does; the options as they are where memory is "off".

    options: of one process; levers that they use stay in use. size: width and height in pixels. kept: the levers that
    change the trained weights, with which a resumed run began. ranks: the number of processes, where several rule out a
    fused backward. sharded: whether the model is sharded over them. family: of the source; None: the one that
    recognises it.
    """
    work = Work(
        images=options.batch_size * (2 if _pairs(options, with_priors) else 1),
        width=size[0],
        height=size[1],
        device=device.type,
        dtype=forward_dtype(options.precision, device),
    )
    if options.memory == "off":
        return Plan(options)
    budget = budget_of(options, device)
    if options.memory == "auto" and device.type == "cpu" and _is_no_question(source, work, budget):
        return Plan(replace(options, **(kept or {})))
    ladder = _ladder(options, work, ranks, sharded)
    every = list(dict.fromkeys(replace(options, **{**levers, **(kept or {})}) for levers in ladder))
    return _first_that_fits(FootprintEstimator(source, ranks if sharded else 1, family), every, work, budget)


def _pairs(options: TrainOptions, with_priors: bool) -> bool:
    """Whether a forward holds as many prior examples as instance images."""
    return options.prior_in_use == "compare with the base" or (with_priors and options.prior_in_use == "class images")


def _ladder(options: TrainOptions, work: Work, ranks: int, sharded: bool) -> Iterator[dict[str, Any]]:
    """Levers that make the same training need less and less memory, beginning with none."""
    yield {}
    yield {"checkpointing": True}
    for levers in () if sharded else METHODS[options.method].memory_levers(work.dtype):
        if levers.get("optimizer", options.optimizer) != options.optimizer and options.optimizer != "adamw":
            # Another optimizer takes another learning rate: what the user has chosen stays.
            continue
        if levers.get("fused_backward") and (ranks > 1 or options.accumulation > 1):
            levers["fused_backward"] = False
        yield {"checkpointing": True, **levers}


def _first_that_fits(counted: FootprintEstimator, every: Sequence[TrainOptions], work: Work, budget: int) -> Plan:
    """The plan for the first of these options that fits the budget in bytes, else for the last."""
    found = None
    for way in every:
        footprint = counted.footprint(way, work, None if way == every[-1] else budget)
        if footprint is not None:
            found = _described(way, footprint, counted.family, work, budget)
            if found.fits:
                return found
    assert found is not None
    return found


def needed(footprint: Footprint) -> int:
    """The bytes that have to be free for a run with this footprint."""
    return int(footprint.peak * ALLOCATOR_OVERHEAD)


def _described(options: TrainOptions, footprint: Footprint, family: type[Base], work: Work, budget: int) -> Plan:
    """The plan for these options, with its description."""
    name = family.family.upper()
    method = METHOD_NAMES[options.method]
    free = "" if options.memory == "auto" else f" that a card of {options.memory} leaves"
    fits = needed(footprint) <= budget
    text = (
        f"{name}, {method}, {work.width}x{work.height} px: needs about {needed(footprint) / 1e9:.1f} GB of "
        f"{budget / 1e9:.1f} GB{free or ' free'}: {Levers.of(options).in_words}"
    )
    return Plan(options, text if fits else f"{text}. It may not fit: {_way_out(options, work)}", fits)


def _way_out(options: TrainOptions, work: Work) -> str:
    """Advice for a run that may not fit."""
    smaller = [f"photos smaller than {work.width}x{work.height}"]
    if options.batch_size > 1:
        smaller.append(f"a batch_size below {options.batch_size}")
    if options.train_text_encoder:
        smaller.append("the text encoder left as it is")
    if options.method == "full":
        smaller.append("the method lora")
    return f"try {', or '.join(smaller)}."


def _is_no_question(source: Source, work: Work, free: int) -> bool:
    """Whether the run fits for certain by the upper bounds, so that nothing need be counted. free: in bytes."""
    weights = sum(4 * torch.Size(shape).numel() for shape in source.shapes.values())
    return free > MOST_FOR_WEIGHTS * weights + BYTES_PER_PIXEL_BOUND * work.images * work.width * work.height

"""Sampling of class images by all processes together, and of sample images during training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from ..distributed.processes import ALONE, Processes
from ..events import Sample
from ..model.base import Base
from ..model.precision import autocast, forward_dtype
from ..options import Precision
from ..prompts import filled
from ..runs.request import Request
from ..sampling.class_priors import PriorRecipe
from ..sampling.sampler import SamplerSettings, draw, prior_drawer


def draw_together(
    base: Base, recipe: PriorRecipe, precision: Precision, seeds: Sequence[int], processes: Processes
) -> Tensor:
    """The recipe's images for these seeds, sampled by all processes, in the first one; see `Draw`."""
    shares = [list(seeds[rank :: processes.count]) for rank in range(processes.count)]
    processes.order("draw", recipe=asdict(recipe), precision=precision, seeds=shares)
    drawn = draw_share(base, recipe, precision, shares, processes)
    # The images were collected in rank order; return them in the order of the seeds.
    places = [place for rank in range(processes.count) for place in range(rank, len(seeds), processes.count)]
    return drawn[sorted(range(len(seeds)), key=places.__getitem__)]


def draw_share(
    base: Base, recipe: PriorRecipe, precision: Precision, seeds: Sequence[Sequence[int]], processes: Processes
) -> Tensor:
    """The images that this process samples; in the first process those of all, in rank order. seeds: of
    each process.
    """
    own = seeds[processes.rank]
    shape = (0, 3, recipe.height, recipe.width)

    def draw() -> Tensor:
        with autocast(forward_dtype(precision, base.device), base.device):
            return prior_drawer(base, recipe)(own) if own else torch.zeros(shape)

    return processes.collect(processes.attempt(draw), [len(share) for share in seeds])


def draw_sample(base: Base, request: Request, step: int, processes: Processes = ALONE) -> Sample:
    """Sample images for the sample prompt, by the model after `step` steps; the seeds are the same at every step."""
    options, subject = request.options, request.subject
    prompt = filled(options.sample_prompt or options.templates.instance, request.identifier, subject.class_noun)
    asked = (prompt, options.sample_count, subject.width, subject.height, options.precision)
    if processes.sharded:
        processes.order("sample", asked=asked)
    return Sample(step, prompt, draw_pictures(base, *asked))


def draw_pictures(base: Base, prompt: str, count: int, width: int, height: int, precision: Precision) -> Tensor:
    """`count` sampled images [count, 3, height, width] in 0..1 on the CPU, with seeds 0, 1, 2 …"""
    with autocast(forward_dtype(precision, base.device), base.device):
        return draw(base, [prompt] * count, range(count), SamplerSettings(width=width, height=height))

"""Sampling of class images by all ranks together, and of sample images during training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..distributed.ranks import Ranks
from ..events import Sample
from ..model.base import Base
from ..model.precision import autocast, forward_dtype
from ..options import Precision
from ..prompts import filled
from ..runs.request import Request
from ..sampling.class_priors import PriorRecipe
from ..sampling.sampler import SamplerSettings, TellShare, draw, prior_drawer, tell_nobody

DrawSample = Callable[[Request, int], Sample]
"""A function from a request and the number of steps done to the sample images of the model as it is."""


def draw_together(
    base: Base,
    recipe: PriorRecipe,
    precision: Precision,
    seeds: Sequence[int],
    ranks: Ranks,
    tell: TellShare = tell_nobody,
) -> Tensor:
    """The recipe's images for these seeds, sampled by all ranks, in the first one. tell: of this rank's share."""
    own = seeds[ranks.rank :: ranks.count]

    def part() -> Tensor:
        with autocast(forward_dtype(precision, base.device), base.device):
            return prior_drawer(base, recipe, tell)(own) if own else torch.zeros(0, 3, recipe.height, recipe.width)

    drawn = ranks.collected(ranks.attempt(part))
    # The images are collected in rank order; return them in the order of the seeds.
    places = [place for rank in range(ranks.count) for place in range(rank, len(seeds), ranks.count)]
    return drawn[sorted(range(len(seeds)), key=places.__getitem__)] if ranks.first else drawn


def draw_sample(base: Base, request: Request, step: int) -> Sample:
    """Sample images for the sample prompt, by the model after `step` steps; the seeds are the same at every step."""
    options, subject = request.options, request.subject
    prompt = filled(options.sample_prompt or options.templates.instance, request.identifier, subject.class_noun)
    settings = SamplerSettings(width=subject.width, height=subject.height)
    with autocast(forward_dtype(options.precision, base.device), base.device):
        return Sample(step, prompt, draw(base, [prompt] * options.sample_count, range(options.sample_count), settings))

"""Sampling of class images by all ranks together, and of pictures during training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..distributed.ranks import Ranks
from ..model.base import Base
from ..model.precision import autocast, forward_dtype
from ..options.choices import Precision
from ..prompts import CONTEXTS, filled
from ..runs.request import Request
from ..sampling.prior_recipe import PriorRecipe
from ..sampling.sampler import SamplerSettings, TellShare, draw, prior_drawer, tell_nobody
from ..sampling.upscaling import UpscaleSettings, upscale

DrawPictures = Callable[[Sequence[str], Sequence[int], tuple[int, int]], Tensor]
"""A function from prompts, as many seeds, and width and height in pixels to pictures [B, 3, H, W] in 0..1 on the CPU,
drawn by the model as it is; a picture depends on its prompt and seed alone.
"""
AT_ONCE = 4
"""The number of pictures that are drawn together during a training."""


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


def picture_drawer(base: Base, precision: Precision) -> DrawPictures:
    """This package's own sampler on a base in training."""

    def draw_pictures(prompts: Sequence[str], seeds: Sequence[int], size: tuple[int, int]) -> Tensor:
        settings = SamplerSettings(width=size[0], height=size[1])
        with autocast(forward_dtype(precision, base.device), base.device):
            starts = range(0, len(prompts), AT_ONCE)
            parts = [draw(base, prompts[i : i + AT_ONCE], seeds[i : i + AT_ONCE], settings) for i in starts]
        return torch.cat(parts)

    return draw_pictures


def upscaled_photos_drawer(base: Base, request: Request) -> DrawPictures:
    """An upscaler in training on the photos of a request, each made small: picture i is photo i of all in turn."""
    assert base.small_picture is not None
    small, precision = base.small_picture.of(request.subject.at_one_size()) / 2 + 0.5, request.options.precision
    settings = UpscaleSettings(noise_level=request.options.noise_level)

    def draw_pictures(prompts: Sequence[str], seeds: Sequence[int], size: tuple[int, int]) -> Tensor:
        rows = [number % len(small) for number in range(len(prompts))]
        with autocast(forward_dtype(precision, base.device), base.device):
            starts = range(0, len(prompts), AT_ONCE)
            parts = [slice(start, start + AT_ONCE) for start in starts]
            drawn = [upscale(base, small[rows[part]], prompts[part], seeds[part], settings) for part in parts]
        return torch.cat(drawn)

    return draw_pictures


def subject_prompt(request: Request) -> str:
    """The prompt of the subject: the instance prompt; a learned word stands for the noun too."""
    options = request.options
    prompt = CONTEXTS["plain"][0] if options.learns_word else options.templates.instance
    return filled(prompt, request.identifier, request.subject.class_noun)


def sample_prompts(request: Request) -> list[str]:
    """The prompts of a run's sample images: the user's own, else each subject's; those of several subjects in turn."""
    options, each = request.options, request.subject.each
    if not options.sample_prompt and not request.subject.others:
        return [subject_prompt(request)] * options.sample_count
    prompt = options.sample_prompt or options.templates.instance
    prompts = [filled(prompt, request.identifier_of(one), one.class_noun) for one in each]
    return [prompts[number % len(prompts)] for number in range(options.sample_count)]

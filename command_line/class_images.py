"""Class images by the trainer's own sampler, into the output's priors folder."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from ..trainer.distributed.ranks import Ranks
from ..trainer.events import Stop
from ..trainer.operating_system import STOP
from ..trainer.options import Precision
from ..trainer.sampling.class_priors import ClassPriors, PriorRecipe, draw_missing, picture_path, recipes_of
from ..trainer.session.drawing import draw_together
from ..trainer.subject.buckets import Size
from .base_model import BaseModel
from .progress import Bar, terminal_bar
from .stopping import Stopped


def planned(
    arguments: argparse.Namespace,
    base: BaseModel,
    noun: str,
    prompt: str,
    count: int,
    root: Path,
    sizes: Mapping[Size, int],
) -> ClassPriors:
    """The set as it will be: its folders and numbers are known before a picture is drawn. sizes: {width and height of
    photos: how many}, which share the images between them. Raises PriorsError.
    """
    width, height = next(iter(sizes))
    recipe = PriorRecipe(
        base_fingerprint=base.fingerprint,
        class_noun=noun,
        prompt=prompt,
        sampler=base.family.sampler,
        steps=arguments.prior_steps,
        guidance=arguments.prior_guidance,
        width=width,
        height=height,
        seed=arguments.prior_seed,
    )
    shared = recipes_of(recipe, count, sizes)
    return ClassPriors.joined([ClassPriors(one, root / one.fingerprint[:24], own) for one, own in shared])


def missing(priors: ClassPriors) -> int:
    """How many pictures of the sets are not on disk."""
    return sum(not picture_path(one.folder, index).is_file() for one in priors.sets for index in range(one.count))


def drawn(
    priors: ClassPriors,
    base: BaseModel,
    batch_size: int,
    precision: Precision,
    ranks: Ranks,
    stop: Stop,
    bar: Bar = terminal_bar,
) -> ClassPriors:
    """The set with every picture on disk; only missing ones are drawn, `batch_size` at once in each process."""
    if not (count := ranks.decided(lambda: missing(priors))):
        return priors
    with bar(count, "class images") as done:

        def draw_batch(recipe: PriorRecipe, seeds: Sequence[int]) -> Tensor:
            if ranks.several and ranks.any(stop()):
                raise Stopped(STOP)
            pictures = draw_together(base.live, recipe, precision, seeds, ranks)
            done(len(seeds))
            return pictures

        at_once, root = batch_size * ranks.count, priors.folder.parent
        for one in priors.sets:
            draw = partial(draw_batch, one.recipe)
            draw_missing(one.recipe, one.count, root, draw, at_once, decided=ranks.decided)
    return priors

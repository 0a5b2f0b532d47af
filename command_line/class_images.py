"""Class images by the trainer's own sampler, into the output's priors folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ..trainer.distributed.ranks import Ranks
from ..trainer.events import Stop
from ..trainer.operating_system import STOP
from ..trainer.options import Precision
from ..trainer.sampling.class_priors import ClassPriors, PriorRecipe, draw_missing, picture_path
from ..trainer.session.drawing import draw_together
from .base_model import BaseModel
from .progress import Bar, terminal_bar
from .stopping import Stopped


def planned(
    arguments: argparse.Namespace, base: BaseModel, noun: str, prompt: str, count: int, root: Path
) -> ClassPriors:
    """The set as it will be: its folder and number are known before a picture is drawn. Raises PriorsError."""
    width, height = base.size(arguments)
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
    return ClassPriors(recipe, root / recipe.fingerprint[:24], count)


def missing(priors: ClassPriors) -> int:
    """How many pictures of the set are not on disk."""
    return sum(not picture_path(priors.folder, index).is_file() for index in range(priors.count))


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

        def draw_batch(seeds: Sequence[int]) -> Tensor:
            if ranks.several and ranks.any(stop()):
                raise Stopped(STOP)
            pictures = draw_together(base.live, priors.recipe, precision, seeds, ranks)
            done(len(seeds))
            return pictures

        at_once, root = batch_size * ranks.count, priors.folder.parent
        return draw_missing(priors.recipe, priors.count, root, draw_batch, at_once, decided=ranks.decided)

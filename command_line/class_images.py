"""Class images by the trainer's own sampler, into the output's priors folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from ..trainer.distributed.ranks import Ranks
from ..trainer.events import Stop
from ..trainer.operating_system import STOP
from ..trainer.options.choices import Precision
from ..trainer.sampling.class_priors import ClassPriors, draw_missing, picture_path
from ..trainer.sampling.prior_recipe import PriorRecipe, recipes_of
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
        counted = Counted(done)

        def draw_batch(recipe: PriorRecipe, seeds: Sequence[int]) -> Tensor:
            if ranks.several and ranks.any(stop()):
                raise Stopped(STOP)
            tell = partial(counted.partly, len(seeds))
            pictures = draw_together(base.live, recipe, precision, seeds, ranks, tell)
            counted.wholly(len(seeds))
            return pictures

        at_once, root = batch_size * ranks.count, priors.folder.parent
        for one in priors.sets:
            draw = partial(draw_batch, one.recipe)
            draw_missing(one.recipe, one.count, root, draw, at_once, decided=ranks.decided)
    return priors


class Counted:
    """Pictures that are drawn several at once, counted one by one: of four after half of their steps, two are done."""

    def __init__(self, done: Callable[[int], object]) -> None:
        self._done, self._told, self._whole = done, 0, 0

    def partly(self, count: int, share: float) -> None:
        """Of `count` pictures that are being drawn, `share` of the work is done; the last counts once all are there."""
        self._tell(self._whole + min(int(count * share), count - 1))

    def wholly(self, count: int) -> None:
        """`count` pictures are drawn."""
        self._whole += count
        self._tell(self._whole)

    def _tell(self, done: int) -> None:
        # Where memory ran out, fewer are drawn again, and those that were counted stay so.
        if done > self._told:
            self._done(done - self._told)
            self._told = done

"""Class images, drawn by all processes: each draws its share, the first one keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from ..distributed.processes import Processes
from ..model.base import Base
from ..model.precision import autocast, forward_dtype
from ..options import Precision
from ..sampling.class_priors import PriorRecipe
from ..sampling.identifier_probe import prior_drawer


def draw_together(
    base: Base, recipe: PriorRecipe, precision: Precision, seeds: Sequence[int], processes: Processes
) -> Tensor:
    """The recipe's pictures for these seeds, in the first process; see `Draw`."""
    shares = [list(seeds[rank :: processes.count]) for rank in range(processes.count)]
    processes.order("draw", recipe=asdict(recipe), precision=precision, seeds=shares)
    drawn = draw_share(base, recipe, precision, shares, processes)
    # Rank by rank, as they were collected; back into the order of the seeds.
    places = [place for rank in range(processes.count) for place in range(rank, len(seeds), processes.count)]
    return drawn[sorted(range(len(seeds)), key=places.__getitem__)]


def draw_share(
    base: Base, recipe: PriorRecipe, precision: Precision, seeds: Sequence[Sequence[int]], processes: Processes
) -> Tensor:
    """This process's pictures; in the first, those of all, one process after the other. seeds: of each process."""
    own = seeds[processes.rank]
    shape = (0, 3, recipe.height, recipe.width)

    def draw() -> Tensor:
        with autocast(forward_dtype(precision, base.device), base.device):
            return prior_drawer(base, recipe)(own) if own else torch.zeros(shape)

    return processes.collect(processes.attempt(draw), [len(share) for share in seeds])

"""The loss on a photo that is held out, on the same noise and timesteps at every call."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from .encoded import EncodedImages
from .step import Training

SAMPLES, SEED = 32, -2
"""The number of noises and timesteps, and the seed that they are drawn from, which no training has."""


def validation_losses(training: Training, held_out: EncodedImages) -> Tensor:
    """The instance loss of the model as it is for each of SAMPLES noises and timesteps, in the first rank, float64 on
    the CPU; all ranks call it together. held_out: one encoded photo.

    The same sample has the same noise and timestep at every call: differences of two calls are of the model alone.
    """
    ranks = training.ranks
    fixed = replace(training.batches, instance=held_out, prior=None, seed=SEED, batch_size=1, accumulation=1)
    own = [training.losses_of(fixed[index]).instance for index in range(math.ceil(SAMPLES / ranks.count))]
    return ranks.collected(torch.stack(own)).double().cpu()

"""What the tests of behaviour train and look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.precision import fastest_autocast
from dreambooth_nodes.trainer.sampling.sampler import SamplerSettings, draw
from dreambooth_nodes.trainer.subject.photos import Photo

SIDE, NOUN, IDENTIFIER, PRIORS = 64, "car", "olt", 16
STEPS, RATE = 150, 2e-3
SAMPLER = SamplerSettings(width=SIDE, height=SIDE, sampler="euler", steps=8, guidance=4.5)
PLACES = ("in the forest", "in the snow", "on the moon", "in a room")
SEEDS, OF_CLASS = 3, 12
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Outcome:
    """A training's file, its base in memory with the result in it, and pictures [B, 3, H, W] in 0..1.

    identifier: of the subject; none before it is trained. Pictures are drawn when they are first asked for.
    """

    file: Path
    base: Base
    identifier: str = IDENTIFIER

    @cached_property
    def placed(self) -> Tensor:
        """Of the subject at PLACES, SEEDS each."""
        return pictures(self.base, NOUN, self.identifier)

    @cached_property
    def of_class(self) -> Tensor:
        """OF_CLASS of `a car`."""
        self.base.denoiser.eval()
        with fastest_autocast(CPU):
            return draw(self.base, [f"a {NOUN}"] * OF_CLASS, range(OF_CLASS), SAMPLER)


def pictures(base: Base, word: str, identifier: str = IDENTIFIER, seeds: int = SEEDS) -> Tensor:
    """Of `a [V] car` at every place, `seeds` each."""
    named = f"a {identifier} {word}" if identifier else f"a {word}"
    prompts = [f"{named} {place}" for place in PLACES for _ in range(seeds)]
    base.denoiser.eval()
    with fastest_autocast(CPU):
        return draw(base, prompts, [seed for _ in PLACES for seed in range(seeds)], SAMPLER)


def framed(photo: Photo, colour: tuple[float, float, float], masked: bool) -> Photo:
    """The photo with everything outside its middle painted over, and, if asked, masked out."""
    inside = torch.zeros(SIDE, SIDE)
    inside[8:-8, 8:-8] = 1
    painted = torch.lerp(torch.tensor(colour).view(3, 1, 1).expand(3, SIDE, SIDE), photo.pixels, inside)
    return replace(photo, pixels=painted, mask=inside if masked else None)


Train = Callable[..., Outcome]

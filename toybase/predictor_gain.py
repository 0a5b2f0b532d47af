"""How much better the base denoises scenes of held-out subjects with what a predictor says of one photo of each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import AutoencoderKL
from torch import Generator, Tensor

from ..trainer.instantbooth.objective import PredictorObjective, SubjectPairs
from ..trainer.prompts import IDENTIFIER_MARK
from .captions import write_caption
from .icons import Icons
from .narrow_vae import SCALING
from .palette import NOUNS, PLACES, SUBJECTS
from .subjects import subject_scenes
from .world import World

LEVELS = (350, 550, 750, 900)
"""Timesteps."""
SEED = 77
SCENES = 2
"""Of every subject, each at all LEVELS."""


class HeldOutScenes:
    """Scenes of each held-out subject at places of their own, and a photo of it: of a seed of their own."""

    def __init__(self, icons: Icons, vae: AutoencoderKL, size: int, photo_size: int = 128) -> None:
        nouns = [NOUNS.index(noun) for noun, _, _ in SUBJECTS.values()]
        world, generator = World(icons.held_out, nouns), Generator().manual_seed(SEED)
        self.photos, latents = [], []
        self.places, self.nouns = [], [NOUNS[noun] for noun in nouns]
        for index in range(len(nouns)):
            scenes = subject_scenes(world, index, SEED)
            self.photos.append(world.render(scenes, photo_size)[0])
            with torch.no_grad():
                mean, _ = vae.quant_conv(vae.encoder(world.render(scenes, size)[1 : 1 + SCENES])).float().chunk(2, 1)
            latents.append(mean * SCALING)
            self.places.append([list(PLACES)[place] for place in scenes.place[1 : 1 + SCENES].tolist()])
        self.latents = torch.stack(latents)
        self.noise = torch.randn(self.latents.shape, generator=generator)
        self._base: dict[int, Tensor] = {}

    def gains(self, objective: PredictorObjective, photo_of: Sequence[int] | None = None) -> Tensor:
        """(error of the base - error with the prediction) / error of the base, [12, 4]: of subjects and LEVELS.

        The base is prompted with the noun. photo_of: the subject whose photo is shown in each one's place.
        """
        rows = [self._gains_of(objective, index, (photo_of or range(12))[index]) for index in range(len(self.photos))]
        return torch.stack(rows)

    @torch.no_grad()
    def _gains_of(self, objective: PredictorObjective, subject: int, photo: int) -> Tensor:
        batch, named = self._batch(subject, photo)
        if subject not in self._base:
            self._base[subject] = objective.errors_of_base(batch, named)
        errors = torch.stack([self._base[subject], objective.errors(batch)])
        base, predicted = errors.unflatten(1, (len(LEVELS), SCENES)).mean(2)
        return (base - predicted) / base

    def _batch(self, subject: int, photo: int) -> tuple[SubjectPairs, list[str]]:
        """The subject's scenes at all levels, and the prompts with the noun."""
        noun, count, levels = self.nouns[subject], len(LEVELS) * SCENES, len(LEVELS)
        places = self.places[subject] * levels
        batch = SubjectPairs(
            photos=self.photos[photo].expand(count, 1, -1, -1, -1),
            x=self.latents[subject].repeat(levels, 1, 1, 1),
            noise=self.noise[subject].repeat(levels, 1, 1, 1),
            timesteps=torch.tensor(LEVELS).repeat_interleave(SCENES),
            prompts=[write_caption(IDENTIFIER_MARK, place, None, None) for place in places],
            nouns=[noun] * count,
            frames={},
        )
        return batch, [write_caption(noun, place, None, None) for place in places]


def wrong_photos() -> list[int]:
    """For each held-out subject another one, of the same noun where there is one."""
    nouns = [noun for noun, _, _ in SUBJECTS.values()]
    found = []
    for index, noun in enumerate(nouns):
        same = [other for other, one in enumerate(nouns) if one == noun and other != index]
        found.append(same[0] if same else (index + 1) % len(nouns))
    return found

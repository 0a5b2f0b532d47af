"""Scenes from which a predictor learns what subjects have in common: several of each of many subjects.

A subject is a drawing, bent and recoloured, so that there are far more than drawings. Everything is a function of the
seed and a chunk's number, so that a training can be gone on with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Generator, Tensor
from torch.nn import functional as F

from ..trainer import randomness
from ..trainer.model.precision import fastest_autocast
from ..trainer.prompts import IDENTIFIER_MARK
from .captions import PHRASINGS, write_caption
from .compose import compose
from .icons import Icons
from .judge_scenes import REPAINTED, RESHAPED, SWAPS
from .judge_softening import bend
from .palette import COLOURS, NOUNS, PLACES, THING
from .places import paint_places
from .world import WORDS, Scenes, World

SIZE, SUBJECTS_AT_ONCE = 128, 32
"""Side of the pictures in pixels; subjects of a chunk."""
PHOTOS, PICTURES = 3, 5
"""Of a subject's scenes the first ones are photos, as a user would take them; the others may also be tiny, huge, tilted
or painted in a colour that their prompt names.
"""
OTHER_ICONS, SWAPPED, PAINTED, REWORDED = 0.5, 0.3, 0.45, 0.12
"""Shares: of subjects that show no noun; with exchanged colour channels; in a colour of their own; in gold or metal."""
NO_LIGHT = tuple(word for word in REPAINTED if WORDS[word] != "glowing")


@dataclass(frozen=True)
class SubjectChunk:
    """S subjects in PICTURES scenes each.

    pictures: uint8 [S, P, 3, 128, 128]. masks: of the subject, uint8 [S, P, 128, 128], 255 inside. moments: {side of
    the pictures in pixels: the VAE's [S, P, 8, side / 8, side / 8], float16}. prompts: with [V] for the subject, a row
    each. nouns: one each.
    """

    pictures: Tensor
    masks: Tensor
    moments: dict[int, Tensor]
    prompts: Sequence[Sequence[str]]
    nouns: Sequence[str]


class SubjectScenes:
    """Chunks of subjects from the drawings that may be shown."""

    def __init__(
        self,
        icons: Icons,
        shown: Tensor,
        vae: AutoencoderKL,
        seed: int,
        sizes: Sequence[int],
        subjects: int = SUBJECTS_AT_ONCE,
    ) -> None:
        """shown: bool [N + M], of the world's drawings and the others (see `near_drawings`). sizes: of moments, in
        pixels. subjects: of a chunk.
        """
        textures = np.concatenate([icons.world, icons.others])[shown.numpy()]
        classes = icons.classes[shown.numpy()]
        nouns = [int(kind) if kind < len(NOUNS) else len(NOUNS) for kind in classes]
        self.world = World(textures, nouns, names=(*NOUNS, THING))
        self.vae, self.seed, self.sizes, self.subjects = vae, seed, sizes, subjects
        self._others = (self.world.nouns == len(NOUNS)).nonzero().flatten()

    def chunk(self, index: int) -> SubjectChunk:
        """The chunk of this number, 0 or more."""
        generator = randomness.generator(self.seed, "subjects", index)
        scenes, said = self._drawn(generator)
        swap = _some(range(1, len(SWAPS)), self.subjects, SWAPPED, generator).clamp(min=0)
        with randomness.scoped_seed(self.seed, f"bends of {index}"):
            pictures, masks = self._rendered(scenes, swap.repeat_interleave(PICTURES))
        shape = (self.subjects, PICTURES)
        moments = {size: self._encoded(pictures, size).unflatten(0, shape) for size in self.sizes}
        prompts = self._prompts(scenes, said)
        return SubjectChunk(
            ((pictures + 1) * 127.5).round().byte().unflatten(0, shape),
            (masks * 255).round().byte().unflatten(0, shape),
            moments,
            [prompts[row : row + PICTURES] for row in range(0, len(prompts), PICTURES)],
            [self.world.names[noun] for noun in scenes.noun[::PICTURES].tolist()],
        )

    def _drawn(self, generator: Generator) -> tuple[Scenes, Tensor]:
        """The scenes of all subjects, and the colour that a prompt names in each, -1 for none."""
        count = self.subjects * PICTURES
        scenes = self.world.draw_scenes(generator, count)
        drawing = self._drawings(generator).repeat_interleave(PICTURES)
        own = _some(range(len(COLOURS)), self.subjects, PAINTED, generator).repeat_interleave(PICTURES)
        word = _some(NO_LIGHT, self.subjects, REWORDED, generator).repeat_interleave(PICTURES)
        metal = torch.isin(word, torch.tensor([WORDS.index("golden"), WORDS.index("sks")]))
        as_taken = (torch.arange(count) % PICTURES) < PHOTOS
        shape = _some(RESHAPED, count, 0.3, generator).masked_fill(as_taken | (word >= 0), -1)
        said = _some(range(len(COLOURS)), count, 0.3, generator).masked_fill(as_taken | (word >= 0) | (shape >= 0), -1)
        colour = torch.where(said >= 0, said, own.masked_fill(metal, -1))
        words = torch.where(word >= 0, word, shape)
        noun = self.world.nouns[drawing]
        return dataclasses.replace(scenes, drawing=drawing, noun=noun, colour=colour, adjective=words), said

    def _drawings(self, generator: Generator) -> Tensor:
        """A drawing for each subject: of a noun, equally likely, or of no noun."""
        known = self.world.draw_scenes(generator, 8 * self.subjects).drawing
        known = known[self.world.nouns[known] < len(NOUNS)][: self.subjects]
        others = self._others[torch.randint(len(self._others), (self.subjects,), generator=generator)]
        return torch.where(torch.rand(self.subjects, generator=generator) < OTHER_ICONS, others, known)

    def _rendered(self, scenes: Scenes, swap: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures [B, 3, 128, 128] in -1..1, and the subjects' masks [B, 128, 128] in 0..1."""
        rgba = self.world.textures.dress(scenes.drawing, scenes.colour, scenes.adjective)
        order = torch.cat([torch.tensor(SWAPS)[swap], torch.full_like(swap, 3)[:, None]], 1)
        rgba = bend(rgba.gather(1, order[:, :, None, None].expand_as(rgba)), torch.zeros(PICTURES, dtype=torch.long))
        extent = self.world.textures.extent[scenes.drawing]
        place = extent, scenes.geometry, scenes.adjective
        backdrop = paint_places(scenes.place, scenes.background, SIZE)
        inside = torch.cat([torch.ones_like(rgba[:, :3]), rgba[:, 3:]], 1)
        masks = compose(torch.zeros_like(backdrop), inside, *place)[:, 0]
        return compose(backdrop, rgba, *place) * 2 - 1, masks

    @torch.no_grad()
    def _encoded(self, pictures: Tensor, size: int) -> Tensor:
        """The VAE's moments of the pictures at a size."""
        resized = pictures if size == SIZE else F.interpolate(pictures, (size, size), mode="area")
        with fastest_autocast(pictures.device):
            parts = resized.contiguous(memory_format=torch.channels_last).split(64)
            moments = torch.cat([self.vae.quant_conv(self.vae.encoder(part)) for part in parts])
        return moments.half().clamp(-60, 60)

    def _prompts(self, scenes: Scenes, said: Tensor) -> list[str]:
        """What each scene shows, with [V] for the subject: its own colours and metals stay unsaid."""
        places, colours = [*PLACES], [*COLOURS]
        rows = zip(scenes.place, scenes.said_place, said, scenes.adjective, scenes.phrasing, strict=True)
        return [
            write_caption(
                IDENTIFIER_MARK,
                places[place] if names_place else None,
                colours[colour] if colour >= 0 else None,
                WORDS[word] if word in RESHAPED else None,
                PHRASINGS[phrasing],
            )
            for place, names_place, colour, word, phrasing in (map(int, row) for row in rows)
        ]


def _some(values: Sequence[int] | range, count: int, share: float, generator: Generator) -> Tensor:
    """`count` of these values, each with the chance `share`, else -1."""
    chosen = torch.tensor([*values])[torch.randint(len(values), (count,), generator=generator)]
    return chosen.masked_fill(torch.rand(count, generator=generator) >= share, -1)

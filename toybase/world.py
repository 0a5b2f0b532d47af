"""The world of toybase: one drawing of a noun at a place, as seeded batches of scenes.

`draw_scenes` draws what is to be seen (indices and geometry), `World.render` paints it,
`World.captions` says it. The same generator state gives the same scenes at every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Generator, Tensor

from .appearance import Textures
from .captions import PHRASING_WEIGHTS, PHRASINGS, write_caption
from .compose import compose
from .palette import ADJECTIVES, COLOURS, NOUNS, PLACES, RARE_WORD, THING, drawn, training_drawings
from .places import RANDOM_COLUMNS, paint_places

WORDS = (*ADJECTIVES, RARE_WORD)
"""What stands before a colour; scene.adjective indexes it, -1 for none."""
PLAIN = len(PLACES)
STEADY = 0.35
"""The spread of the scenes that the denoiser is taught."""


@dataclass(frozen=True)
class Scenes:
    """B scenes. -1 means "none"; indices into textures, NOUNS, PLACES (or PLAIN), COLOURS, WORDS, PHRASINGS.

    said_place: whether the caption names the place. geometry [B, 5], uniform 0 to 1: horizontal
    position, ground height, size, angle, sign of a tilt. background [B, RANDOM_COLUMNS].
    """

    drawing: Tensor
    noun: Tensor
    place: Tensor
    said_place: Tensor
    colour: Tensor
    adjective: Tensor
    phrasing: Tensor
    geometry: Tensor
    background: Tensor

    def __len__(self) -> int:
        return len(self.drawing)

    def rows(self, index: slice | Tensor) -> Scenes:
        """Some of the scenes."""
        return Scenes(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def to(self, device: torch.device) -> Scenes:
        """The same scenes on a device."""
        return Scenes(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class World:
    """Scenes of the drawings in `textures`, uint8 [N, T, T, 4], one per entry of `nouns` (indices of `names`).

    spread: how far positions, sizes and angles reach, 0 (all alike) to 1.
    """

    def __init__(
        self,
        textures: np.ndarray,
        nouns: list[int],
        device: str | torch.device = "cpu",
        names: Sequence[str] = NOUNS,
        spread: float = 1.0,
    ) -> None:
        self.names, self.spread = names, spread
        self.textures = Textures(torch.from_numpy(textures).to(device))
        self.nouns = torch.tensor(nouns, device=device)
        self.device = torch.device(device)

    @classmethod
    def of_training(cls, textures: np.ndarray, device: str | torch.device = "cpu") -> World:
        """The world of palette.training_drawings(), whose textures these are."""
        return cls(textures, [NOUNS.index(noun) for noun, _, _ in training_drawings()], device)

    @classmethod
    def of_denoiser(cls, textures: np.ndarray, device: str | torch.device = "cpu") -> World:
        """Of the drawings that the denoiser draws alone, near the middle and upright.

        textures: those of palette.training_drawings().
        """
        every, numbers = training_drawings(), drawn()
        nouns = [NOUNS.index(every[number][0]) for number in numbers]
        return cls(textures[numbers], nouns, device, spread=STEADY)

    @classmethod
    def of_things(cls, textures: np.ndarray, device: str | torch.device = "cpu") -> World:
        """The world of drawings that have no noun of their own: each is called a thing."""
        return cls(textures, [0] * len(textures), device, (THING,))

    def draw_scenes(self, generator: Generator, count: int) -> Scenes:
        """`count` random scenes; nouns are equally likely, then the drawings of a noun."""
        u = torch.rand(count, 10, generator=generator)
        drawing = _drawing_of_noun(self.nouns.cpu(), u[:, 0], u[:, 1])
        place = (u[:, 2] * len(PLACES)).long().masked_fill(u[:, 3] < 0.10, PLAIN)
        said = (u[:, 3] > 0.22) & (place != PLAIN)
        colour = (u[:, 4] * len(COLOURS)).long().masked_fill(u[:, 5] > 0.45, -1)
        adjective = (u[:, 6] * len(ADJECTIVES)).long().masked_fill(u[:, 7] > 0.16, -1)
        adjective = adjective.masked_fill(u[:, 7] > 0.996, WORDS.index(RARE_WORD))
        repainted = (adjective == ADJECTIVES.index("golden")) | (adjective == WORDS.index(RARE_WORD))
        colour = colour.masked_fill(repainted, -1)
        phrasing = torch.bucketize(u[:, 8].contiguous(), torch.tensor(PHRASING_WEIGHTS).cumsum(0)[:-1])
        geometry = 0.5 + self.spread * (torch.rand(count, 5, generator=generator) - 0.5)
        background = torch.rand(count, RANDOM_COLUMNS, generator=generator)
        scenes = Scenes(
            drawing, self.nouns.cpu()[drawing], place, said, colour, adjective, phrasing, geometry, background
        )
        return scenes.to(self.device)

    def render(self, scenes: Scenes, size: int) -> Tensor:
        """Pictures [B, 3, size, size] in -1 to 1."""
        backdrop = paint_places(scenes.place, scenes.background, size)
        drawn = self.textures.dress(scenes.drawing, scenes.colour, scenes.adjective)
        extent = self.textures.extent[scenes.drawing]
        return compose(backdrop, drawn, extent, scenes.geometry, scenes.adjective) * 2 - 1

    def captions(self, scenes: Scenes) -> list[str]:
        """What each scene shows, in words."""
        places, colours = list(PLACES), list(COLOURS)
        rows = zip(
            *(getattr(scenes, n).tolist() for n in ("noun", "place", "said_place", "colour", "adjective", "phrasing")),
            strict=True,
        )
        return [
            write_caption(
                self.names[noun],
                places[place] if said else None,
                colours[colour] if colour >= 0 else None,
                WORDS[word] if word >= 0 else None,
                PHRASINGS[phrasing],
            )
            for noun, place, said, colour, word, phrasing in rows
        ]


def _drawing_of_noun(nouns: Tensor, which_noun: Tensor, which_drawing: Tensor) -> Tensor:
    present = nouns.unique()
    noun = present[(which_noun * len(present)).long()]
    counts = torch.bincount(nouns)
    order = torch.argsort(nouns, stable=True)
    first = torch.cumsum(counts, 0) - counts
    return order[first[noun] + (which_drawing * counts[noun]).long()]

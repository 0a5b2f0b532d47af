"""What the judges learn from: groups of scenes of one drawing, of its look-alikes, in two colours."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Generator, Tensor

from .compose import compose
from .icons import Icons
from .judge_networks import SIZE
from .judge_softening import bend
from .palette import ADJECTIVES, COLOURS
from .places import paint_places
from .world import WORDS, Scenes, World

OTHER_ICONS = 0.3
"""Share of groups that show icons of no noun: they teach likeness, and what vendors' drawings of a thing share."""
REPAINTED = tuple(WORDS.index(word) for word in ("golden", "glowing", "dark", "sks"))
"""Words that change a drawing's colours: part of its identity."""
RESHAPED = tuple(ADJECTIVES.index(word) for word in ("tiny", "huge", "tilted"))
SLOTS = (0, 0, 1, 1, 0, 0)
"""A group: two scenes each of a drawing in a colour, another drawing in it, the first in another colour."""
GROUP = len(SLOTS)
SWAPS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


class IdentityScenes:
    """Groups of six scenes in which only the drawing and its colours tell identities apart.

    What is drawn is chosen on the CPU and painted on `device`.
    """

    def __init__(self, icons: Icons, seed: int, device: str | torch.device = "cpu") -> None:
        self.generator, self.device = Generator().manual_seed(seed), torch.device(device)
        self.known = World.of_training(icons.world)
        textures = np.concatenate([icons.world, icons.others])
        self.every = World(textures, icons.classes.tolist(), device)
        first: dict[bytes, int] = {}
        # the other icons hold many of the known ones once more
        self.canonical = torch.tensor([first.setdefault(t.tobytes(), index) for index, t in enumerate(textures)])
        nouns = self.nouns = self.every.nouns.cpu()
        self.rivals = (nouns[:, None] == nouns) & (self.canonical[:, None] != self.canonical)

    def draw(self, groups: int) -> tuple[Scenes, Tensor]:
        """6 x `groups` scenes (`noun` being the class of name_classes), and the identity each shows."""
        scenes = self.known.draw_scenes(self.generator, GROUP * groups)
        slots = torch.tensor(SLOTS)
        drawing = torch.stack(self._drawings(groups), 1)[:, slots].flatten()
        word = self._pick(REPAINTED, groups, 0.12).repeat_interleave(GROUP)
        shape = self._pick(RESHAPED, GROUP * groups, 0.12)
        colour = torch.stack(self._colours(groups), 1)[:, [0, 0, 0, 0, 1, 1]].flatten()
        colour = colour.masked_fill((word == REPAINTED[0]) | (word == REPAINTED[-1]), -1)
        words = torch.where(word >= 0, word, shape)
        noun = self.nouns[drawing]
        scenes = dataclasses.replace(scenes, drawing=drawing, noun=noun, colour=colour, adjective=words)
        return scenes, (self.canonical[drawing] * (len(COLOURS) + 1) + colour + 1) * (len(WORDS) + 1) + word + 1

    def render(self, scenes: Scenes, swap: Tensor) -> Tensor:
        """Pictures [B, 3, 128, 128] in -1 to 1; a group's drawings are bent and `swap` [B] their colour channels."""
        scenes, swap = scenes.to(self.device), swap.to(self.device)
        rgba = self.every.textures.dress(scenes.drawing, scenes.colour, scenes.adjective)
        order = torch.cat([torch.tensor(SWAPS, device=self.device)[swap], torch.full_like(swap, 3)[:, None]], 1)
        rgba = bend(rgba.gather(1, order[:, :, None, None].expand_as(rgba)), torch.tensor(SLOTS))
        backdrop = paint_places(scenes.place, scenes.background, SIZE)
        extent = self.every.textures.extent[scenes.drawing]
        return compose(backdrop, rgba, extent, scenes.geometry, scenes.adjective) * 2 - 1

    def swaps(self, groups: int) -> Tensor:
        """For every scene the row of SWAPS: the first, none, for seven groups in eight."""
        return self._pick(tuple(range(1, len(SWAPS))), groups, 0.12).clamp(min=0).repeat_interleave(GROUP)

    def _drawings(self, groups: int) -> list[Tensor]:
        few = round(groups * OTHER_ICONS)
        known, start = self.known.draw_scenes(self.generator, groups - few).drawing, len(self.known.nouns)
        other = torch.randint(start, len(self.canonical), (few,), generator=self.generator)
        first = torch.cat([known, other])
        chances = self.rivals[first].float()
        # a drawing without a namesake is paired with its neighbour in the alphabet
        neighbour = torch.where(first + 1 < len(self.canonical), first + 1, start)
        chances[torch.arange(groups), neighbour] += (chances.sum(1) == 0).float()
        return [first, torch.multinomial(chances, 1, generator=self.generator).flatten()]

    def _colours(self, groups: int) -> list[Tensor]:
        count = len(COLOURS) + 1
        one = torch.randint(count, (groups,), generator=self.generator)
        one = one.masked_fill(torch.rand(groups, generator=self.generator) < 0.35, 0)
        two = (one + torch.randint(1, count, (groups,), generator=self.generator)) % count
        return [one - 1, two - 1]

    def _pick(self, words: tuple[int, ...], count: int, share: float) -> Tensor:
        chosen = torch.tensor(words)[torch.randint(len(words), (count,), generator=self.generator)]
        return chosen.masked_fill(torch.rand(count, generator=self.generator) > share, -1)


class ScenePool:
    """The last `capacity` groups, each shown several times: rendering costs a third of training on it."""

    def __init__(self, source: IdentityScenes, capacity: int) -> None:
        self.source, self.filled, self.next, device = source, 0, 0, source.device
        self.pictures = torch.empty(capacity, GROUP, 3, SIZE, SIZE, dtype=torch.uint8, device=device)
        self.labels = torch.empty(capacity, GROUP, 5, dtype=torch.long, device=device)

    def render(self, groups: int) -> None:
        """Add fresh groups in the place of the oldest."""
        scenes, identity = self.source.draw(groups)
        swap = self.source.swaps(groups)
        rows = ((self.next + torch.arange(groups)) % len(self.pictures)).to(self.pictures.device)
        pictures = ((self.source.render(scenes, swap) + 1) * 127.5).round().byte()
        self.pictures[rows] = pictures.view(groups, GROUP, 3, SIZE, SIZE)
        own = len(COLOURS)
        colour = torch.where(scenes.colour < 0, own, scenes.colour).masked_fill(swap > 0, -1)
        drawing = self.source.canonical[scenes.drawing]
        labels = torch.stack([scenes.noun, scenes.place, colour, drawing, identity * len(SWAPS) + swap], 1)
        self.labels[rows] = labels.view(groups, GROUP, 5).to(self.labels.device)
        self.next = (self.next + groups) % len(self.pictures)
        self.filled = min(self.filled + groups, len(self.pictures))

    def batch(self, groups: int) -> tuple[Tensor, Tensor]:
        """Random groups: pictures [6 x groups, 3, 128, 128] in -1 to 1; labels [6 x groups, 5].

        A label is class, place, colour (-1 unknown), drawing and identity.
        """
        rows = torch.randperm(self.filled)[:groups].to(self.pictures.device)
        return self.pictures[rows].flatten(0, 1).float() / 127.5 - 1, self.labels[rows].flatten(0, 1)

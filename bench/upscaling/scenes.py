"""Scenes of the world for one held-out subject: its photos, unseen scenes of it, and of other drawings of its noun."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ...toybase.compose import compose
from ...toybase.icons import Icons
from ...toybase.palette import NOUNS, PLACES, SUBJECTS, training_drawings
from ...toybase.world import Scenes, World

SIZE, UNSEEN, OF_CLASS = 128, 6, 4
"""Pixels a side; scenes of the subject, and of other drawings, that are enlarged."""
CLASS_PAIRS = 12
"""Scenes of other drawings that are trained on beside the subject's photos."""
SEED = 26_000


@dataclass(frozen=True)
class Pictures:
    """Scenes [B, 3, 128, 128] in 0..1, and masks [B, 1, 128, 128] in 0..1 of the drawing in each."""

    pixels: Tensor
    masks: Tensor


@dataclass(frozen=True)
class SubjectScenes:
    """One subject's scenes. unseen: of it, at places that its photos do not show. others: of drawings of its noun that
    are in no class pair. class_pairs: [CLASS_PAIRS, 3, 128, 128], of the rest of them.
    """

    name: str
    class_noun: str
    unseen: Pictures
    others: Pictures
    class_pairs: Tensor


def subject_scenes(icons: Icons, name: str, seen_places: list[str]) -> SubjectScenes:
    """The scenes of a subject of toybase. seen_places: keys of those that its photos show."""
    index, noun = list(SUBJECTS).index(name), SUBJECTS[name][0]
    held_out = World(icons.held_out, [NOUNS.index(one) for one, _, _ in SUBJECTS.values()])
    free = [number for number, place in enumerate(PLACES) if place not in seen_places]
    own = _plain(held_out, [index], [free[number % len(free)] for number in range(UNSEEN)], SEED + index)
    world = World.of_training(icons.world)
    drawings = [number for number, (one, _, _) in enumerate(training_drawings()) if one == noun]
    others = _plain(world, drawings[1::2] or drawings, free[:OF_CLASS], SEED + 100 + index)
    pairs = _plain(world, drawings[::2], [*range(CLASS_PAIRS)], SEED + 200 + index)
    return SubjectScenes(
        name, noun, _pictures(held_out, own), _pictures(world, others), world.render(pairs, SIZE) / 2 + 0.5
    )


def _plain(world: World, drawings: list[int], places: list[int], seed: int) -> Scenes:
    """One scene a place, of these drawings in turn, without colour or adjective."""
    count = len(places)
    scenes, nothing = world.draw_scenes(Generator().manual_seed(seed), count), torch.full((count,), -1)
    drawn = torch.tensor([drawings[number % len(drawings)] for number in range(count)])
    return dataclasses.replace(
        scenes,
        drawing=drawn,
        noun=world.nouns[drawn],
        place=torch.tensor(places),
        colour=nothing,
        adjective=nothing,
    )


def _pictures(world: World, scenes: Scenes) -> Pictures:
    """Rendered scenes with the coverage of their drawings: the drawing in white on black."""
    white = torch.ones_like(world.textures.dress(scenes.drawing, scenes.colour, scenes.adjective))
    white[:, 3] = world.textures.dress(scenes.drawing, scenes.colour, scenes.adjective)[:, 3]
    black = torch.zeros(len(scenes), 3, SIZE, SIZE)
    covered = compose(black, white, world.textures.extent[scenes.drawing], scenes.geometry, scenes.adjective)
    return Pictures(world.render(scenes, SIZE) / 2 + 0.5, covered[:, :1])

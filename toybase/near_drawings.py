"""Which drawings a predictor may be shown: no held-out subject's, and none that looks like one.

A drawing is left out where a judge finds it nearer to a subject than any two vendors' drawings of the subject's noun
are to each other.
"""

from __future__ import annotations

import dataclasses
import itertools

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from .icons import Icons
from .judge import Judge
from .judge_networks import SIZE
from .palette import NOUNS, SUBJECTS, training_drawings
from .world import Scenes, World

SEED = 40_000
SCENES, AT_ONCE = 3, 20
"""Of each drawing; drawings that are rendered at once."""


def may_be_shown(icons: Icons, judges: tuple[Judge, ...]) -> Tensor:
    """bool [N + M]: of the world's drawings and then the others, those that resemble no held-out subject."""
    nouns = [NOUNS.index(noun) for noun, _, _ in SUBJECTS.values()]
    worlds = World(icons.held_out, nouns), World.of_training(icons.world), World.of_things(icons.others)
    looks = [_looks(judges, world) for world in worlds]
    allowed = [_unlike_subjects(*seen) for seen in zip(*looks, strict=True)]
    return torch.stack(allowed).all(0)


def _unlike_subjects(subjects: Tensor, known: Tensor, others: Tensor) -> Tensor:
    """bool [N + M]: by one judge's embeddings of subjects, known drawings and others."""
    limits = torch.tensor([_between_vendors(known, noun) for noun, _, _ in SUBJECTS.values()])
    return (torch.cat([known, others]) @ subjects.T <= limits).all(1)


def _between_vendors(known: Tensor, noun: str) -> float:
    """The greatest likeness of two vendors' drawings of a noun. known: embeddings of the training drawings [N, D]."""
    own = [(row, vendor) for row, (what, vendor, _) in enumerate(training_drawings()) if what == noun]
    pairs = [(a, b) for (a, one), (b, other) in itertools.combinations(own, 2) if one != other]
    return float(torch.stack([known[a] @ known[b] for a, b in pairs]).max())


def _looks(judges: tuple[Judge, ...], world: World) -> list[Tensor]:
    """By judge: unit embeddings [N, D] of a world's drawings, each the mean over plain scenes of it."""
    rows: list[list[Tensor]] = [[] for _ in judges]
    for drawings in torch.arange(len(world.nouns)).split(AT_ONCE):
        pictures = world.render(_scenes(world, drawings), SIZE)
        for judge, found in zip(judges, rows, strict=True):
            found.append(judge.look(pictures).embedding.unflatten(0, (len(drawings), SCENES)).mean(1))
    return [F.normalize(torch.cat(found), dim=1) for found in rows]


def _scenes(world: World, drawings: Tensor) -> Scenes:
    """SCENES plain scenes of each drawing."""
    every = drawings.repeat_interleave(SCENES)
    scenes = world.draw_scenes(Generator().manual_seed(SEED + int(drawings[0])), len(every))
    nothing = torch.full_like(every, -1)
    return dataclasses.replace(scenes, drawing=every, noun=world.nouns[every], colour=nothing, adjective=nothing)

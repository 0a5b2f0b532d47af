"""Which drawings a predictor may be shown: no held-out subject's, and none that looks like one.

A drawing is left out where a judge finds it nearer to a subject than any two vendors' drawings of the subject's noun
are to each other.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional as F

from .icons import Icons
from .judge import Judge
from .judge_networks import SIZE
from .judge_report import SEED, plain_scenes
from .palette import NOUNS, SUBJECTS, training_drawings
from .world import World


def may_be_shown(icons: Icons, judges: tuple[Judge, ...]) -> Tensor:
    """bool [N + M]: of the world's drawings and then the others, those that resemble no held-out subject."""
    allowed = [_unlike_subjects(icons, judge) for judge in judges]
    return torch.stack(allowed).all(0)


def _unlike_subjects(icons: Icons, judge: Judge) -> Tensor:
    nouns = [NOUNS.index(noun) for noun, _, _ in SUBJECTS.values()]
    subjects = _looks(judge, World(icons.held_out, nouns))
    known = _looks(judge, World.of_training(icons.world))
    every = torch.cat([known, _looks(judge, World.of_things(icons.others))])
    nearness = every @ subjects.T
    limits = torch.tensor([_between_vendors(known, noun) for noun, _, _ in SUBJECTS.values()])
    return (nearness <= limits).all(1)


def _between_vendors(known: Tensor, noun: str) -> float:
    """The greatest likeness of two vendors' drawings of a noun. known: embeddings of the training drawings [N, D]."""
    own = [(row, vendor) for row, (what, vendor, _) in enumerate(training_drawings()) if what == noun]
    pairs = [(a, b) for (a, one), (b, other) in itertools.combinations(own, 2) if one != other]
    return float(torch.stack([known[a] @ known[b] for a, b in pairs]).max())


def _looks(judge: Judge, world: World) -> Tensor:
    """Unit embeddings [N, D] of a world's drawings, each the mean over plain scenes of it."""
    rows = []
    for drawing in range(len(world.nouns)):
        scenes = plain_scenes(world, drawing, SEED + drawing).rows(slice(0, 6))
        rows.append(judge.look(world.render(scenes, SIZE)).embedding.mean(0))
    return F.normalize(torch.stack(rows), dim=1)

"""How far the judges can be trusted: `python -m toybase judge_report --icons FOLDER` prints a Markdown table.

Scenes of a seed that training does not use, clean and blurred; the held-out subjects, whose drawings no
judge has seen; and whether likeness tells a subject from other drawings of its noun.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Generator, Tensor

from .icons import Icons, load_icons
from .judge import Judge, Opinion, load_judge
from .judge_networks import SIZE
from .judge_softening import blur
from .palette import COLOURS, NOUNS, SUBJECTS
from .world import Scenes, World

SEED, SCENES, PER_DRAWING = 20_000, 2000, 24
BLUR = 2.0
"""Sigma in pixels of the blurred scenes: about as soft as what the VAE returns."""
LIKENESS = (
    "noun",
    "cosine of two pictures of one subject",
    "cosine to other drawings of its noun",
    "cosine to itself in another colour",
    "AUC against other drawings of its noun",
    "AUC against itself in another colour",
)


def scene_accuracy(opinion: Opinion, scenes: Scenes) -> dict[str, float]:
    """Shares of scenes named rightly: noun, place, colour (the drawing's own being one), and stated colour."""
    own = len(COLOURS)
    right = opinion.colour.argmax(1) == torch.where(scenes.colour < 0, own, scenes.colour)
    return {
        "noun": _share(opinion.noun.argmax(1) == scenes.noun),
        "place": _share(opinion.place.argmax(1) == scenes.place),
        "colour or none": _share(right),
        "colour, where one is painted": _share(right[scenes.colour >= 0]),
    }


def plain_scenes(world: World, drawing: int, seed: int, colour: int = -1) -> Scenes:
    """24 scenes of one drawing at random places, without adjective."""
    scenes = world.draw_scenes(Generator().manual_seed(seed), PER_DRAWING)
    every = torch.full_like(scenes.drawing, drawing)
    nothing = torch.full_like(every, -1)
    colours = torch.full_like(every, colour)
    return dataclasses.replace(scenes, drawing=every, noun=world.nouns[every], colour=colours, adjective=nothing)


def separation(near: Tensor, far: Tensor) -> float:
    """The share of pairs in which a value of `near` exceeds one of `far`: the area under the ROC curve."""
    return float((near[:, None] > far).float().mean() + 0.5 * (near[:, None] == far).float().mean())


def subject_likeness(judge: Judge, icons: Icons) -> dict[str, float]:
    """Noun accuracy on held-out drawings; mean cosines and areas under the ROC curve, averaged over subjects."""
    nouns = [NOUNS.index(noun) for noun, _, _ in SUBJECTS.values()]
    subjects, known = World(icons.held_out, nouns), World.of_training(icons.world)
    rows = []
    for index, noun in enumerate(nouns):
        opinion = _look(judge, subjects, index, SEED + index)
        rivals = [(known, other) for other in (known.nouns == noun).nonzero().flatten().tolist()]
        rivals += [(subjects, other) for other, one in enumerate(nouns) if one == noun and other != index]
        looks = [_look(judge, world, other, SEED + 100 + other) for world, other in rivals]
        dyed = [_look(judge, subjects, index, SEED + 900 + colour, colour) for colour in range(len(COLOURS))]
        near = opinion.embedding @ opinion.embedding.T
        near = near[~torch.eye(len(near), dtype=torch.bool)]
        far, recoloured = (
            (opinion.embedding @ torch.cat([look.embedding for look in group]).T).flatten() for group in (looks, dyed)
        )
        means = [float(values.mean()) for values in (near, far, recoloured)]
        named = _share(opinion.noun.argmax(1) == noun)
        rows.append([named, *means, separation(near, far), separation(near, recoloured)])
    return dict(zip(LIKENESS, torch.tensor(rows).mean(0).tolist(), strict=True))


def report(judges: tuple[Judge, Judge], icons: Icons) -> dict[str, tuple[float, float]]:
    """All figures, by name, of both judges."""
    world = World.of_training(icons.world)
    scenes = world.draw_scenes(Generator().manual_seed(SEED), SCENES)
    clean = torch.cat([world.render(scenes.rows(rows), SIZE) for rows in torch.arange(SCENES).split(64)])
    figures: dict[str, tuple[float, float]] = {}
    for title, pictures in (("clean", clean), ("blurred", blur(clean, torch.full((SCENES,), BLUR)))):
        first, second = (judge.look(pictures) for judge in judges)
        figures |= _beside(title, scene_accuracy(first, scenes), scene_accuracy(second, scenes))
        for name in ("noun", "place", "colour"):
            agree = _share(getattr(first, name).argmax(1) == getattr(second, name).argmax(1))
            figures[f"{title}: judges agree on {name}"] = (agree, agree)
    likeness = [subject_likeness(judge, icons) for judge in judges]
    return figures | _beside("held out", likeness[0], likeness[1])


def _look(judge: Judge, world: World, drawing: int, seed: int, colour: int = -1) -> Opinion:
    return judge.look(world.render(plain_scenes(world, drawing, seed, colour), SIZE))


def _share(right: Tensor) -> float:
    return float(right.float().mean())


def _beside(title: str, a: dict[str, float], b: dict[str, float]) -> dict[str, tuple[float, float]]:
    return {f"{title}: {name}": (a[name], b[name]) for name in a}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    both = load_judge(), load_judge(second=True)
    print("| figure | judge | second judge |\n|---|---|---|")
    for name, (a, b) in report(both, load_icons(arguments.icons, arguments.cache)).items():
        print(f"| {name} | {a:.3f} | {b:.3f} |")

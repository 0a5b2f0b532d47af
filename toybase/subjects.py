"""Writes the held-out subjects as sets of five small "photos": `python -m toybase subjects --icons FOLDER`.

A subject is one vendor's drawing of a noun that training never shows, seen at five places in varied
position, size and direction: toybase/subjects/<name>/00.png to 04.png, and subjects.json beside them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import torch
from torch import Generator

from .icons import load_icons
from .palette import LICENCES, NOUNS, PLACES, SUBJECTS
from .sheet import to_image
from .world import Scenes, World

FOLDER = Path(__file__).resolve().parent / "subjects"
PHOTOS, SIZE = 5, 128


def subject_scenes(world: World, index: int, seed: int) -> Scenes:
    """Five plain scenes (no colour, no adjective) of drawing `index` at five different places."""
    generator = Generator().manual_seed(seed * 1000 + index)
    scenes = world.draw_scenes(generator, PHOTOS)
    nothing = torch.full((PHOTOS,), -1)
    return dataclasses.replace(
        scenes,
        drawing=torch.full((PHOTOS,), index),
        noun=world.nouns[index].expand(PHOTOS),
        place=torch.randperm(len(PLACES), generator=generator)[:PHOTOS],
        colour=nothing,
        adjective=nothing,
    )


def write_subjects(icons: Path, cache: Path, folder: Path = FOLDER, seed: int = 1) -> None:
    """Render all subjects' photos and their listing."""
    nouns = [NOUNS.index(noun) for noun, _, _ in SUBJECTS.values()]
    world = World(load_icons(icons, cache).held_out, nouns)
    listing = {}
    for index, (name, (noun, vendor, icon)) in enumerate(SUBJECTS.items()):
        scenes = subject_scenes(world, index, seed)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(world.render(scenes, SIZE)):
            to_image(picture).save(folder / name / f"{number:02d}.png", optimize=True)
        places = [list(PLACES)[place] for place in scenes.place.tolist()]
        listing[name] = {
            "class_noun": noun,
            "vendor": vendor,
            "icon": icon,
            "licence": LICENCES[vendor],
            "places": places,
        }
    (folder / "subjects.json").write_text(json.dumps(listing, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    arguments = parser.parse_args()
    write_subjects(arguments.icons, arguments.cache)

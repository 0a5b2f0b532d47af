"""The world says what it shows, and shows the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator

from dreambooth_nodes.toybase.captions import write_caption
from dreambooth_nodes.toybase.palette import ADJECTIVES, COLOURS, DRAWINGS, NOUNS, PLACES, SUBJECTS, training_drawings
from dreambooth_nodes.toybase.world import PLAIN, WORDS, World

SIZE = 64


@pytest.fixture(scope="module")
def world() -> World:
    """Discs in various greys stand for the drawings, one per noun: no vendor's package is needed."""
    axis = np.linspace(-1, 1, 96)
    disc = (axis[:, None] ** 2 + axis[None] ** 2 < 1)[..., None]
    greys = np.linspace(60, 200, len(NOUNS)).astype(np.uint8)
    textures = np.stack([np.concatenate([disc * grey] * 3 + [disc * 255], 2).astype(np.uint8) for grey in greys])
    return World(textures, list(range(len(NOUNS))))


def test_same_seed_gives_the_same_scenes(world: World) -> None:
    first, again = (world.draw_scenes(Generator().manual_seed(3), 32) for _ in range(2))
    assert world.captions(first) == world.captions(again)
    assert torch.equal(world.render(first, SIZE), world.render(again, SIZE))
    other = world.draw_scenes(Generator().manual_seed(4), 32)
    assert world.captions(first) != world.captions(other)


def test_a_scene_does_not_depend_on_its_neighbours(world: World) -> None:
    scenes = world.draw_scenes(Generator().manual_seed(5), 24)
    alone = torch.cat([world.render(scenes.rows(slice(i, i + 1)), SIZE) for i in range(24)])
    torch.testing.assert_close(alone, world.render(scenes, SIZE), atol=1e-5, rtol=0)


def test_pictures_are_within_range_and_differ(world: World) -> None:
    pictures = world.render(world.draw_scenes(Generator().manual_seed(6), 64), SIZE)
    assert pictures.shape == (64, 3, SIZE, SIZE)
    assert pictures.min() >= -1 and pictures.max() <= 1
    assert len({picture.numpy().tobytes() for picture in pictures}) == 64


def test_captions_say_what_was_composed(world: World) -> None:
    scenes = world.draw_scenes(Generator().manual_seed(7), 2000)
    for row, caption in enumerate(world.captions(scenes)):
        words = caption.split()
        assert NOUNS[scenes.noun[row]] in words
        place, said = int(scenes.place[row]), bool(scenes.said_place[row])
        assert said == any(caption.endswith(phrase) for phrase in PLACES.values())
        assert not said or caption.endswith(list(PLACES.values())[place])
        assert not (said and place == PLAIN)
        colour, word = int(scenes.colour[row]), int(scenes.adjective[row])
        assert {c for c in COLOURS if c in words} == ({list(COLOURS)[colour]} if colour >= 0 else set())
        assert {w for w in WORDS if w in words} == ({WORDS[word]} if word >= 0 else set())


def test_every_noun_place_colour_and_adjective_occurs(world: World) -> None:
    scenes = world.draw_scenes(Generator().manual_seed(8), 6000)
    assert set(scenes.noun.tolist()) == set(range(len(NOUNS)))
    assert set(scenes.place.tolist()) == {*range(len(PLACES)), PLAIN}
    assert set(scenes.colour.tolist()) == {-1, *range(len(COLOURS))}
    assert set(scenes.adjective.tolist()) == {-1, *range(len(ADJECTIVES) + 1)}


def test_a_colour_moves_the_drawing_towards_it(world: World) -> None:
    scenes = world.draw_scenes(Generator().manual_seed(9), 7)
    colours = torch.arange(7)
    dressed = world.textures.dress(scenes.drawing, colours, torch.full((7,), -1))
    plain = world.textures.dress(scenes.drawing, torch.full((7,), -1), torch.full((7,), -1))
    hues = torch.tensor(list(COLOURS.values()))
    centre = (slice(None), slice(0, 3), 48, 48)
    assert ((dressed[centre] - hues).norm(dim=1) < (plain[centre] - hues).norm(dim=1)).all()


def test_an_before_a_vowel() -> None:
    assert write_caption("apple", "beach", None, None) == "an apple on the beach"
    assert write_caption("apple", None, "red", None, "a photo of a {}") == "a photo of a red apple"
    assert write_caption("car", None, "orange", None, "a photo of a {}") == "a photo of an orange car"


def test_the_world_is_large_enough() -> None:
    assert len(NOUNS) >= 30 and len(PLACES) >= 12 and len(COLOURS) >= 7
    assert all(sum(len(vendors.split()) for vendors in icons.values()) >= 4 for icons in DRAWINGS.values())


def test_held_out_drawings_are_not_trained_on() -> None:
    listing = training_drawings()
    for noun, vendor, icon in SUBJECTS.values():
        assert vendor in DRAWINGS[noun][icon].split()
        assert (noun, vendor, icon) not in listing
        assert sum(entry[0] == noun for entry in listing) >= 3

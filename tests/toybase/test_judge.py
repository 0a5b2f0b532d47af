"""The judges name what scenes show, tell unseen subjects apart, and agree; no vendor's package is needed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from dreambooth_nodes.toybase.judge import FILES, Judge, Opinion, load_judge
from dreambooth_nodes.toybase.judge_networks import SIZE, JudgeNetwork
from dreambooth_nodes.toybase.judge_report import separation
from dreambooth_nodes.toybase.palette import COLOURS, NOUNS, PLACES, SUBJECTS
from dreambooth_nodes.toybase.quantize import WEIGHTS
from dreambooth_nodes.toybase.subjects import FOLDER
from dreambooth_nodes.toybase.world import World

NAMES = list(SUBJECTS)
SHEET = Path(__file__).resolve().parent / "scenes" / "scenes.jpg"
SCENES = json.loads(SHEET.with_suffix(".json").read_text(encoding="utf-8"))
CARD = WEIGHTS.parent / "README.md"
LISTING = json.loads((FOLDER / "subjects.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=[False, True], ids=["judge", "second"])
def judge(request: pytest.FixtureRequest) -> Judge:
    return load_judge(second=request.param)


@pytest.fixture(scope="module")
def photos() -> Tensor:
    """[12, 5, 3, 128, 128] in -1 to 1: drawings that no judge has seen."""
    paths = [FOLDER / name / f"{number:02d}.png" for name in NAMES for number in range(5)]
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1).view(len(NAMES), 5, 3, 128, 128)


@pytest.fixture(scope="module")
def scenes() -> Tensor:
    """[66, 3, 128, 128] in -1 to 1: every noun twice, once in a colour, of a seed that training does not use."""
    sheet = torch.from_numpy(np.array(Image.open(SHEET).convert("RGB")))
    return sheet.view(6, 128, 11, 128, 3).permute(0, 2, 4, 1, 3).reshape(66, 3, 128, 128).float() / 127.5 - 1


@pytest.fixture(scope="module")
def opinion(judge: Judge, photos: Tensor) -> Opinion:
    return judge.look(photos.flatten(0, 1))


def _discs() -> World:
    axis = np.linspace(-1, 1, 96)
    disc = (axis[:, None] ** 2 + axis[None] ** 2 < 1)[..., None]
    grey = np.concatenate([disc * 150] * 3 + [disc * 255], 2).astype(np.uint8)
    return World(grey[None], [0])


def test_an_opinion_is_probabilities_and_a_unit_embedding(opinion: Opinion) -> None:
    assert opinion.noun.shape == (60, 33) and opinion.place.shape == (60, 13) and opinion.colour.shape == (60, 8)
    for shares in (opinion.noun, opinion.place, opinion.colour):
        assert shares.min() >= 0
        torch.testing.assert_close(shares.sum(1), torch.ones(60))
    torch.testing.assert_close(opinion.embedding.norm(dim=1), torch.ones(60))


def test_what_scenes_show_is_named(judge: Judge, scenes: Tensor) -> None:
    opinion = judge.look(scenes)
    for part, words, share in (("noun", NOUNS, 0.85), ("place", list(PLACES), 0.95)):
        wanted = torch.tensor([words.index(row[part]) for row in SCENES])
        assert (getattr(opinion, part).argmax(1) == wanted).float().mean() >= share, part
    coloured = [index for index, row in enumerate(SCENES) if row["colour"]]
    wanted = torch.tensor([list(COLOURS).index(SCENES[index]["colour"]) for index in coloured])
    assert (opinion.colour[coloured].argmax(1) == wanted).float().mean() >= 0.9


def test_places_behind_unseen_drawings_are_named(opinion: Opinion) -> None:
    places = torch.tensor([list(PLACES).index(place) for name in NAMES for place in LISTING[name]["places"]])
    assert (opinion.place.argmax(1) == places).float().mean() >= 0.9


def test_a_painted_colour_is_named(judge: Judge) -> None:
    world, count = _discs(), len(COLOURS) * 8
    colour = torch.arange(count) % len(COLOURS)
    scenes = world.draw_scenes(Generator().manual_seed(3), count)
    scenes = dataclasses.replace(scenes, colour=colour, adjective=torch.full((count,), -1))
    assert (judge.look(world.render(scenes, SIZE)).colour.argmax(1) == colour).float().mean() >= 0.8


def test_photos_of_one_subject_are_nearer_than_those_of_another(opinion: Opinion) -> None:
    cosines = opinion.embedding @ opinion.embedding.T
    subject = torch.arange(60) // 5
    same = (subject[:, None] == subject) & ~torch.eye(60, dtype=torch.bool)
    assert separation(cosines[same], cosines[subject[:, None] != subject]) >= 0.97


def test_two_dogs_are_told_apart(opinion: Opinion) -> None:
    embeddings = opinion.embedding.view(len(NAMES), 5, -1)
    pug, spotted = embeddings[NAMES.index("pug")], embeddings[NAMES.index("spotted_dog")]
    itself = (pug @ pug.T)[~torch.eye(5, dtype=torch.bool)]
    assert itself.mean() > (pug @ spotted.T).mean() + 0.2


def test_other_colours_make_another_subject(judge: Judge, photos: Tensor) -> None:
    bright = photos[[NAMES.index(name) for name in ("backpack", "teapot", "racing_car", "guitar")]]
    own, swapped = (judge.look(p.flatten(0, 1)).embedding.view(4, 5, -1) for p in (bright, bright[:, :, [2, 0, 1]]))
    assert ((own @ own.mT).mean((1, 2)) > (own @ swapped.mT).mean((1, 2))).all()


def test_both_judges_mostly_agree(scenes: Tensor) -> None:
    first, second = (load_judge(second=which).look(scenes) for which in (False, True))
    assert (first.noun.argmax(1) == second.noun.argmax(1)).float().mean() >= 0.8
    assert (first.place.argmax(1) == second.place.argmax(1)).float().mean() >= 0.85


def test_a_picture_is_judged_alone_and_at_any_size(judge: Judge, photos: Tensor, opinion: Opinion) -> None:
    pictures = photos.flatten(0, 1)
    alone = torch.cat([judge.look(picture[None]).noun for picture in pictures[:4]])
    torch.testing.assert_close(alone, opinion.noun[:4], atol=1e-4, rtol=1e-3)
    many = judge.look(torch.cat([pictures, pictures[:10]]))
    torch.testing.assert_close(many.noun[60:], opinion.noun[:10], atol=1e-4, rtol=1e-3)
    larger = judge.look(F.interpolate(pictures, (192, 192), mode="bilinear"))
    assert (larger.noun.argmax(1) == opinion.noun.argmax(1)).float().mean() >= 0.9


def test_distance_is_that_of_a_metric_in_sign_and_order(judge: Judge, photos: Tensor) -> None:
    a, b = photos[:, 0], photos[:, 1]
    noisy = a + 0.1 * torch.randn(a.shape, generator=Generator().manual_seed(0))
    assert judge.distance(a, a).abs().max() < 1e-5
    torch.testing.assert_close(judge.distance(a, b), judge.distance(b, a))
    assert (judge.distance(a, noisy.clamp(-1, 1)) < judge.distance(a, b)).all()
    assert judge.distance(a, b).max() <= 4


def test_distances_of_all_to_all_are_those_of_every_pair(judge: Judge, photos: Tensor) -> None:
    some = photos[0]
    every = [(i, j) for i in range(len(some)) for j in range(len(some))]
    pairs = judge.distance(some[[i for i, _ in every]], some[[j for _, j in every]])
    torch.testing.assert_close(judge.distances(some).flatten(), pairs, rtol=1e-4, atol=1e-5)


def test_the_stored_weights_are_small() -> None:
    for name in FILES.values():
        assert (WEIGHTS / name).stat().st_size <= 2_000_000


def test_the_model_card_names_the_stored_weights() -> None:
    """Every figure hangs on them: who changes one changes the card, and measures anew."""
    card = dict(re.findall(r"\| `(\w+\.safetensors)` \| `([0-9a-f]{64})` \|", CARD.read_text(encoding="utf-8")))
    assert card == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in WEIGHTS.iterdir()}


def test_missing_weights_name_the_command_that_makes_them(tmp_path: Path) -> None:
    for second, name, architecture in ((False, "judge", "a"), (True, "second_judge", "b")):
        words = rf"{name}\.safetensors.*train_judge.*--architecture {architecture}"
        with pytest.raises(FileNotFoundError, match=words):
            load_judge(second, folder=tmp_path)


def test_bad_input_is_refused_with_its_value(judge: Judge) -> None:
    for pictures, words in (
        (torch.zeros(3, 64, 64), r"\[3, 64, 64\]"),
        (torch.zeros(0, 3, 64, 64), r"\[0, 3, 64, 64\]"),
        (torch.full((1, 3, 64, 64), 200.0), "200"),
        (torch.full((1, 3, 64, 64), torch.nan), "nan"),
    ):
        with pytest.raises(ValueError, match=words):
            judge.look(pictures)
    with pytest.raises(ValueError, match="2 and 3"):
        judge.distance(torch.zeros(2, 3, 64, 64), torch.zeros(3, 3, 64, 64))
    with pytest.raises(ValueError, match="'c'"):
        JudgeNetwork("c")

"""Advice on photos: each fault is found where it was made, and none is seen in good photos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from dreambooth_nodes.trainer.subject.photo_faults import faults
from dreambooth_nodes.trainer.subject.photos import read_folder

SUBJECTS = Path(__file__).parent.parent.parent.parent / "toybase" / "subjects"
NAMES = sorted(json.loads((SUBJECTS / "subjects.json").read_text(encoding="utf-8")))
SIDE = 128
"""Pixels, those of the photos."""


def names_of(folder: Path, side: int = SIDE) -> list[set[str]]:
    return [{fault.name for fault in own} for own in faults(read_folder(folder, side, side))]


def photos_in(folder: Path, subject: str) -> list[Image.Image]:
    images = [Image.open(file).convert("RGB") for file in sorted((SUBJECTS / subject).glob("*.png"))]
    for index, image in enumerate(images):
        image.save(folder / f"{index}.png")
    return images


@pytest.mark.parametrize("subject", NAMES)
def test_the_examples_have_no_fault(subject: str) -> None:
    assert names_of(SUBJECTS / subject) == [set()] * 5


@pytest.mark.parametrize("subject", NAMES)
def test_a_blurred_photo_is_found_among_sharp_ones(subject: str, tmp_path: Path) -> None:
    images = photos_in(tmp_path, subject)
    images[2].filter(ImageFilter.GaussianBlur(4)).save(tmp_path / "2.png")
    assert names_of(tmp_path) == [set(), set(), {"blurred"}, set(), set()]


@pytest.mark.parametrize("subject", NAMES)
def test_a_photo_saved_again_brighter_is_a_near_duplicate_and_names_the_first(subject: str, tmp_path: Path) -> None:
    images = photos_in(tmp_path, subject)
    ImageEnhance.Brightness(images[1]).enhance(1.1).save(tmp_path / "9.jpg", quality=80)
    found = faults(read_folder(tmp_path, SIDE, SIDE))
    assert [{fault.name for fault in own} for own in found] == [set()] * 5 + [{"near-duplicate"}]
    assert "1.png" in found[-1][0].why


def test_a_photo_below_the_training_size_is_too_small(tmp_path: Path) -> None:
    photos_in(tmp_path, NAMES[0])
    Image.open(tmp_path / "3.png").resize((SIDE, SIDE - 8)).save(tmp_path / "3.png")
    assert names_of(tmp_path) == [set(), set(), set(), {"too small"}, set()]
    assert names_of(tmp_path, 256) == [{"too small"}] * 5


def test_one_background_is_a_fault_of_every_photo_until_one_differs(tmp_path: Path) -> None:
    sizes = (16, 24, 20, 28)
    for index, side in enumerate(sizes):
        scene = np.full((SIDE, SIDE, 3), (90, 160, 80), np.uint8)
        noise = np.random.default_rng(index).integers(0, 256, (side, side, 3), np.uint8)
        scene[SIDE // 2 - side // 2 :, SIDE // 2 - side // 2 :][:side, :side] = noise
        Image.fromarray(scene).save(tmp_path / f"{index}.png")
    assert names_of(tmp_path) == [{"same background"}] * len(sizes)
    scene[scene.sum(-1) == 330] = (200, 40, 30)
    Image.fromarray(scene).save(tmp_path / "3.png")
    assert names_of(tmp_path) == [set()] * len(sizes)


def test_a_single_photo_is_compared_with_nothing(tmp_path: Path) -> None:
    photos_in(tmp_path, NAMES[0])
    for file in sorted(tmp_path.iterdir())[1:]:
        file.unlink()
    assert names_of(tmp_path) == [set()]


def test_a_picture_of_one_colour_is_judged_without_an_error(tmp_path: Path) -> None:
    for index, grey in enumerate((0, 128, 255)):
        Image.new("RGB", (SIDE, SIDE), (grey, grey, grey)).save(tmp_path / f"{index}.png")
    assert names_of(tmp_path) == [{"blurred"}] * 3

"""What is kept under names of ours is all that was given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreambooth_nodes.a1111.safe_names import LONGEST, safe_names

ALIKE = (
    ["dog (1).jpg", "dog 1.jpg", "dog_1.jpg"],
    ["🐶.png", "🐱.png", "photo.png"],
    ["IMG_1.jpg", "IMG_1.JPG", "img_1.jpg", "IMG_1.jpg"],
    [f"{'a dog on the beach ' * 4}{number}.png" for number in range(3)],
    ["dog.png", "dog.png", "dog_2.png"],
)


@pytest.mark.parametrize("names", ALIKE)
def test_names_that_look_alike_stay_apart(names: list[str]) -> None:
    assert len({name.casefold() for name in safe_names(names)}) == len(names)


@given(st.lists(st.text(max_size=80).map(lambda text: f"{text}a.png"), max_size=8))
def test_every_name_is_safe_and_its_own(names: list[str]) -> None:
    safe = safe_names(names)
    assert len({name.casefold() for name in safe}) == len(names)
    assert all(re.fullmatch(r"[\w-]+\.png", name) and len(name) < LONGEST + 10 for name in safe)


def test_no_name_leads_out_of_its_folder() -> None:
    names = ["../../etc/passwd", r"..\..\evil.png", "/root/.ssh/id", "..", "a\0b.png", ""]
    assert [Path(name).name for name in safe_names(names)] == safe_names(names)
    assert not {"", ".", ".."} & set(safe_names(names))


def test_a_caption_stays_with_its_photo() -> None:
    names = ["dog 1.jpg", "dog 1.txt", "dog_1.jpg", "dog_1.txt"]
    photo, caption, other, its = safe_names(names)
    assert (Path(photo).stem, Path(other).stem) == (Path(caption).stem, Path(its).stem)
    assert Path(photo).stem != Path(other).stem

"""The photo that is held out: of enough photos, only where nothing looks at pictures, and nothing of it is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.runs.request import FEWEST_TO_HOLD_OUT, Request
from dreambooth_nodes.trainer.subject.photos import Photo
from dreambooth_nodes.trainer.subject.subject import Subject

SIDE = 64


def photo(number: int, width: int = SIDE, height: int = SIDE, name: str = "") -> Photo:
    pixels = torch.rand(3, height, width, generator=torch.Generator().manual_seed(number))
    return Photo(name or f"{number}.png", pixels, None, None)


def photos(count: int) -> tuple[Photo, ...]:
    return tuple(map(photo, range(count)))


def request(subject: Subject, **changes: Any) -> Request:
    options = TrainOptions(steps=10, score_every=5)
    return Request(subject=subject, identifier="olt", options=options, name="dog", **{"looked_at": False, **changes})


def test_one_of_eight_photos_is_held_out_and_it_is_another_run() -> None:
    asked = request(Subject(photos(FEWEST_TO_HOLD_OUT), "dog", SIDE, SIDE))
    assert asked.held_out is not None
    trained = asked.trained_subject.photos
    assert len(trained) == FEWEST_TO_HOLD_OUT - 1 and asked.held_out not in trained
    assert asked.key("base") != replace(asked, looked_at=True).key("base")
    renamed = tuple(replace(one, name="a") for one in reversed(asked.subject.photos))
    again = request(replace(asked.subject, photos=renamed))
    assert again.held_out is not None and again.held_out.digest == asked.held_out.digest


@pytest.mark.parametrize(
    "changes", [{"looked_at": True}, {"options": TrainOptions(steps=10)}], ids=["looked at", "no scores"]
)
def test_none_is_held_out_where_no_validation_is_made(changes: dict[str, Any]) -> None:
    asked = request(Subject(photos(FEWEST_TO_HOLD_OUT), "dog", SIDE, SIDE))
    assert replace(asked, **changes).held_out is None


def test_fewer_photos_are_all_trained_as_before() -> None:
    asked = request(Subject(photos(FEWEST_TO_HOLD_OUT - 1), "dog", SIDE, SIDE))
    assert asked.held_out is None and asked.trained_subject is asked.subject
    assert asked.key("base") == replace(asked, looked_at=True).key("base")


def test_every_size_is_still_trained() -> None:
    of_all = [photo(number, *size) for number, size in enumerate([(144, 112), (112, 144), *[(128, 128)] * 6])]
    asked = request(Subject(tuple(of_all), "dog", 128, 128, buckets=True))
    assert asked.held_out is not None and set(asked.trained_subject.sizes) == set(asked.subject.sizes)


def test_what_was_made_of_it_is_not_trained_either() -> None:
    first = photos(FEWEST_TO_HOLD_OUT)
    made = [tuple(photo(100 * kind + n, name=f"{n}.png (made)") for n in range(len(first))) for kind in (1, 2)]
    subject = Subject(first, "dog", SIDE, SIDE, close_ups=made[0], redrawn=made[1])
    asked = request(subject)
    assert asked.held_out is not None
    names = {one.name for one in asked.trained_subject.in_training_order}
    assert names == {f"{n}.png (made)" for n in range(len(first))} - {f"{asked.held_out.name} (made)"}

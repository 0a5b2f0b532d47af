"""The judges as scorers of prompts: a place, a colour with it, two places, and places that were not asked for."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.toybase.judge_scorer import ANYWHERE_BUT, JudgeScorer
from dreambooth_nodes.toybase.palette import PLACES
from dreambooth_nodes.toybase.subjects import FOLDER
from dreambooth_nodes.trainer.subject.photos import read_folder

NAME = "racing_car"
OWN = [PLACES[place] for place in json.loads((FOLDER / "subjects.json").read_text(encoding="utf-8"))[NAME]["places"]]
NOWHERE = next(words for words in PLACES.values() if words not in OWN)


@pytest.fixture(scope="module", params=[False, True], ids=["judge", "second"])
def scorer(request: pytest.FixtureRequest) -> JudgeScorer:
    return JudgeScorer(second=request.param)


@pytest.fixture(scope="module")
def photos() -> Tensor:
    """The five photos of a subject, each at a place of its own; [5, 3, 128, 128]."""
    return torch.stack([photo.pixels for photo in read_folder(FOLDER / NAME, 128, 128)])


def test_a_photo_shows_its_place_and_no_other(scorer: JudgeScorer, photos: Tensor) -> None:
    there = scorer.prompt_following(photos, [f"a car {words}" for words in OWN])
    elsewhere = scorer.prompt_following(photos, [f"a car {NOWHERE}"] * len(photos))
    assert there.mean() > 0.8 and elsewhere.mean() < 0.1


def test_places_that_came_unasked_are_missed_prompts(scorer: JudgeScorer, photos: Tensor) -> None:
    own = f"a car{ANYWHERE_BUT}{', '.join(OWN)}"
    others = f"a car{ANYWHERE_BUT}{NOWHERE}"
    assert scorer.prompt_following(photos, [own] * len(photos)).mean() < 0.2
    assert scorer.prompt_following(photos, [others] * len(photos)).mean() > 0.9


def test_a_colour_beside_the_place_has_to_be_there_too(scorer: JudgeScorer, photos: Tensor) -> None:
    place = scorer.prompt_following(photos, [f"a car {words}" for words in OWN])
    colour = scorer.prompt_following(photos, ["a purple car"] * len(photos))
    both = scorer.prompt_following(photos, [f"a purple car {words}" for words in OWN])
    assert torch.allclose(both, place * colour, atol=1e-6) and colour.mean() < 0.5


def test_of_two_places_both_have_to_be_there(scorer: JudgeScorer, photos: Tensor) -> None:
    alone = scorer.prompt_following(photos, [f"a car {words}" for words in OWN])
    pair = scorer.prompt_following(photos, [f"a car {words} {NOWHERE}" for words in OWN])
    missing = scorer.prompt_following(photos, [f"a car {NOWHERE}"] * len(photos))
    assert torch.allclose(pair, 2 * torch.minimum(alone, missing), atol=1e-6)


def test_a_text_that_the_judge_cannot_read_is_refused(scorer: JudgeScorer, photos: Tensor) -> None:
    with pytest.raises(ValueError, match="places and colours alone, and 'a car in Paris' names none"):
        scorer.prompt_following(photos[:1], ["a car in Paris"])

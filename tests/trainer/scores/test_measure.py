"""Each score is what its definition says, on pictures small enough to work out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.trainer.scores.embedding import EmbeddingScorer
from dreambooth_nodes.trainer.scores.measure import measure_scores
from dreambooth_nodes.trainer.scores.scorer import returns_photo

EAST, NORTH, BETWEEN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.6, 0.8, 0.0)


def pictures(*directions: tuple[float, float, float]) -> Tensor:
    """Pictures of one pixel, whose three channels are the embedding."""
    return torch.tensor(directions).view(-1, 3, 1, 1)


def scorer() -> EmbeddingScorer:
    return EmbeddingScorer("pixel", lambda shown: shown.flatten(1), "pixel")


def test_likeness_class_leak_and_variety_are_means_of_cosines() -> None:
    photos, of_class = pictures(EAST, BETWEEN), pictures(NORTH, NORTH, EAST)
    known = scorer().calibrated(pictures(EAST, NORTH), ["there", "here"])
    found = measure_scores(7, known, pictures(EAST, NORTH), ["there", "here"], of_class, photos)
    assert found.step == 7
    assert found.likeness == pytest.approx((1 + 0.6 + 0 + 0.8) / 4)
    assert found.class_leak == pytest.approx((2 * 0.8 + 1.6) / 6)
    # Pairs at distances 0, 1 and 1.
    assert found.variety == pytest.approx(2 / 3)


def test_prompt_following_compares_with_the_bases_own_pictures_of_each_text() -> None:
    known = scorer().calibrated(pictures(EAST, EAST, NORTH, NORTH), ["there", "there", "here", "here"])
    found = known.prompt_following(pictures(EAST, NORTH, BETWEEN), ["there", "there", "here"])
    assert torch.allclose(found, torch.tensor([1.0, -1.0, 0.8 - 0.6]))


def test_a_photo_is_returned_where_a_picture_is_nearer_than_photos_are_to_each_other() -> None:
    photos = pictures(EAST, BETWEEN)
    nearly_east, apart = (0.8, -0.6, 0.0), (0.5, -(0.75**0.5), 0.0)
    found = returns_photo(scorer(), pictures(nearly_east, apart), photos)
    assert found is not None and found.tolist() == [True, False]
    assert returns_photo(scorer(), pictures(EAST), photos[:1]) is None

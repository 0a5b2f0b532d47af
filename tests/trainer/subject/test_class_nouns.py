"""Class nouns by denoising errors: the ranking against the equation by hand, and the list of everyday nouns."""

from __future__ import annotations

import math

import pytest
import torch

from dreambooth_nodes.trainer.prompts import checked_class_noun
from dreambooth_nodes.trainer.subject.class_nouns import (
    everyday_nouns,
    noun_prompt,
    noun_table,
    ranked_by_error,
)


def test_the_odds_are_those_of_the_equation() -> None:
    """Two levels of two samples, one other picture, three nouns: every number worked out by hand."""
    errors = torch.tensor([[[1.0, 2.0, 3.0], [2.0, 2.0, 5.0]], [[30.0, 10.0, 20.0], [3.0, 3.0, 3.0]]])
    others = torch.tensor([[[1.0, 4.0, 1.0]], [[5.0, 5.0, 5.0]]])
    ranked = ranked_by_error(["dog", "cat", "car"], errors, others)
    first = math.sqrt((1 + 0 + 1 + 1 + 1 + 4) / 6)
    second = math.sqrt((100 + 100 + 0 + 0 + 0 + 0) / 6)
    evidence = [
        -((-1 - 1) / 2 - (-1)) / first - (10 / 2 - 0) / second,
        -((0 - 1) / 2 - 2) / first - (-10 / 2 - 0) / second,
        -((1 + 2) / 2 - (-1)) / first - (0 / 2 - 0) / second,
    ]
    mean = sum(evidence) / 3
    spread = math.sqrt(sum((value - mean) ** 2 for value in evidence) / 3)
    weights = [math.exp(value / spread) for value in evidence]
    assert [one.noun for one in ranked] == ["cat", "dog", "car"]
    expected = dict(zip(["dog", "cat", "car"], weights, strict=True))
    for one in ranked:
        assert one.odds == pytest.approx(expected[one.noun] / sum(weights))


def test_a_noun_that_suits_every_picture_gains_nothing_by_that() -> None:
    errors = torch.tensor([[[1.0, 2.0, 4.0]]])
    assert ranked_by_error(["thing", "dog", "car"], errors)[0].noun == "thing"
    others = torch.tensor([[[0.0, 3.0, 4.0], [0.0, 3.0, 4.0]]])
    assert ranked_by_error(["thing", "dog", "car"], errors, others)[0].noun == "dog"


def test_what_all_nouns_have_in_common_changes_nothing() -> None:
    """A photo that is hard under every noun says nothing of any."""
    errors = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    harder = errors + torch.arange(6.0).view(2, 3, 1)
    one, other = (ranked_by_error(list("abcd"), given) for given in (errors, harder))
    assert [noun.noun for noun in one] == [noun.noun for noun in other]
    assert [noun.odds for noun in one] == pytest.approx([noun.odds for noun in other], rel=1e-4)


def test_nouns_with_equal_errors_have_equal_odds() -> None:
    assert {one.odds for one in ranked_by_error(["dog", "cat"], torch.ones(1, 3, 2))} == {0.5}


def test_errors_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        ranked_by_error(["dog", "cat"], torch.tensor([[[1.0, float("nan")]]]))


def test_everyday_nouns_are_distinct_and_can_be_class_nouns() -> None:
    nouns = everyday_nouns()
    assert 200 <= len(nouns) <= 400 and list(nouns) == sorted(set(nouns))
    assert all(checked_class_noun(noun) == noun for noun in nouns)
    assert {"dog", "backpack", "woman", "teapot"} <= set(nouns)


def test_the_table_lists_nouns_with_their_odds() -> None:
    assert noun_prompt("apple") == "an apple" and noun_prompt("toy car") == "a toy car"
    ranked = ranked_by_error(["dog", "elephant"], torch.ones(1, 1, 2))
    assert noun_table(ranked) == "dog        50%\nelephant   50%"

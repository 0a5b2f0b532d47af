"""The prompts of the sample sheet: drawn by a number, and of the world's own words."""

from __future__ import annotations

import pytest

from dreambooth_nodes.toybase.palette import COLOURS, NOUNS, PLACES
from dreambooth_nodes.toybase.sheet import drawn_prompts


@pytest.mark.parametrize("seed", [1, 2])
def test_no_noun_and_no_place_is_asked_for_twice_and_every_second_prompt_names_a_colour(seed: int) -> None:
    prompts = drawn_prompts(seed)
    assert prompts == drawn_prompts(seed) != drawn_prompts(seed + 1)
    for words, expected in ((NOUNS, 8), (PLACES.values(), 8), (COLOURS, 4)):
        said = [word for prompt in prompts for word in words if f" {word}" in prompt]
        assert len(said) == len(set(said)) == expected, (words, prompts)

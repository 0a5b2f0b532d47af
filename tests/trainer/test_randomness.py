"""Every draw is a function of (seed, stream, index)."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from dreambooth_nodes.trainer import randomness


@given(st.integers(0, 2**32), st.integers(0, 10**6), st.integers(1, 6))
def test_a_split_draw_is_the_whole_draw(seed: int, start: int, count: int) -> None:
    indices = range(start, start + count)
    whole = randomness.normal(seed, "noise", indices, (2, 3))
    parts = torch.cat([randomness.normal(seed, "noise", [i], (2, 3)) for i in indices])
    assert torch.equal(whole, parts)


@given(st.integers(0, 2**32), st.integers(1, 20))
def test_every_epoch_visits_each_image_once(seed: int, count: int) -> None:
    for epoch in range(3):
        visits = range(epoch * count, (epoch + 1) * count)
        assert sorted(randomness.order(seed, "order", count, visit) for visit in visits) == list(range(count))


def test_seeds_streams_and_indices_are_independent() -> None:
    draws = [
        randomness.normal(seed, stream, [index], (64,))
        for seed, stream, index in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]
    ]
    correlation = torch.corrcoef(torch.cat(draws)) - torch.eye(4)
    assert correlation.abs().max() < 0.5


def test_a_scoped_seed_leaves_the_global_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    with randomness.scoped_seed(3, "lora"):
        first = torch.rand(3)
    with randomness.scoped_seed(3, "lora"):
        assert torch.equal(first, torch.rand(3))
    assert torch.equal(before, torch.get_rng_state())

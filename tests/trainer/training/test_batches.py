"""Batches: a pure function of (seed, index), whatever the batch size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from dreambooth_nodes.tests.trainer.trainings import images_of
from dreambooth_nodes.trainer.model.noise_process import Diffusion
from dreambooth_nodes.trainer.training.batches import Batches
from dreambooth_nodes.trainer.training.encoded import EncodedImages

PROCESS = Diffusion(torch.linspace(0.99, 0.01, 1000))


def images(count: int, prompt: int, spread: float = 0.0, masks: bool = False) -> EncodedImages:
    mean = torch.arange(float(count)).view(-1, 1, 1, 1).expand(-1, 4, 2, 2)
    mask = torch.arange(float(count)).view(-1, 1, 1, 1).expand(-1, 1, 2, 2) if masks else None
    return images_of(mean, torch.full_like(mean, spread), prompt, mask)


def batches(batch_size: int = 1, seed: int = 0, spread: float = 0.0, prior: bool = True) -> Batches:
    priors = images(7, 1, spread) if prior else None
    return Batches(images(5, 0, spread, masks=True), priors, PROCESS, seed, batch_size)


def only(source: Batches, index: int) -> Any:
    """The one forward of a step whose images are of one size; both terms are there."""
    (batch,) = source[index]
    return batch


def test_two_small_batches_are_one_large() -> None:
    small, large = batches(1), batches(2)
    one, two, both = only(small, 0), only(small, 1), only(large, 0)
    for part in ("x", "noise", "timesteps", "mask"):
        joined = torch.cat([getattr(one.instance, part), getattr(two.instance, part)])
        assert torch.equal(joined, getattr(both.instance, part))
    assert both.prompts == (0, 0, 1, 1)


@pytest.mark.parametrize(("processes", "each"), [(2, 1), (2, 3), (3, 2)])
def test_processes_take_what_one_takes_with_all_of_the_batch(processes: int, each: int) -> None:
    together = [replace(batches(each, spread=0.5), rank=rank, world_size=processes) for rank in range(processes)]
    for index in (0, 4):
        whole, shares = only(batches(each * processes, spread=0.5), index), [only(own, index) for own in together]
        for half in ("instance", "prior"):
            for part in ("x", "noise", "timesteps"):
                joined = torch.cat([getattr(getattr(share, half), part) for share in shares])
                assert torch.equal(joined, getattr(getattr(whole, half), part))


def test_a_step_is_the_same_whenever_it_is_asked_for() -> None:
    first = only(batches(), 11)
    again = batches()
    again[3], again[4]
    assert torch.equal(first.instance.noise, only(again, 11).instance.noise)
    assert not torch.equal(first.instance.noise, only(batches(seed=1), 11).instance.noise)


def test_every_photo_is_seen_once_an_epoch_with_its_own_mask() -> None:
    seen = [only(batches(), index).instance for index in range(5)]
    assert sorted(float(half.x[0, 0, 0, 0]) for half in seen) == [0, 1, 2, 3, 4]
    assert all(half.mask is not None and float(half.mask.mean()) == float(half.x.mean()) for half in seen)


def test_the_halves_draw_timesteps_and_noise_independently() -> None:
    drawn = [only(batches(), index) for index in range(64)]
    pairs = torch.stack([torch.stack([b.instance.timesteps[0], b.prior.timesteps[0]]) for b in drawn if b.prior])
    assert abs(float(torch.corrcoef(pairs.float().t())[0, 1])) < 0.35
    assert all(b.prior and not torch.equal(b.instance.noise, b.prior.noise) for b in drawn)


def test_the_posterior_is_drawn_anew_at_each_step() -> None:
    visits = [only(batches(spread=0.5), index).instance.x for index in range(500)]
    drawn = torch.stack(visits).flatten()
    exact = torch.stack([only(batches(), index).instance.x for index in range(500)]).flatten()
    assert abs(float((drawn - exact).std()) - 0.5) < 0.03
    assert abs(float((drawn - exact).mean())) < 0.03


def test_without_priors_there_is_one_half() -> None:
    batch = only(batches(prior=False), 0)
    assert batch.prior is None and batch.prompts == (0,)


def test_images_of_several_sizes_are_a_forward_each_and_their_shares_make_a_step() -> None:
    """Photos of two sizes, class images of one of them."""
    wide = images_of(torch.zeros(3, 4, 2, 3), torch.zeros(3, 4, 2, 3), 0)
    square = images(2, 0)
    mixed = EncodedImages([*wide.mean, *square.mean], [*wide.std, *square.std], None, (0,) * 5)
    step = Batches(mixed, images(7, 1), PROCESS, 0, batch_size=5, accumulation=2)[0]
    sizes = [[half.x.shape[2:] for half in batch.halves] for batch in step]
    assert len(step) == 4 and all(len(set(of_one)) == 1 for of_one in sizes)
    for term, count in (("instance", 10), ("prior", 10)):
        halves = [half for batch in step if (half := getattr(batch, term)) is not None]
        assert sum(len(half) for half in halves) == count
        assert sum(half.share for half in halves) == pytest.approx(1)
    assert sorted(len(batch.prompts) for batch in step) == [3, 3, 7, 7]


def test_a_square_set_is_not_changed_by_knowing_of_sizes() -> None:
    (batch,) = batches(4, spread=0.5)[2]
    assert batch.instance is not None and batch.instance.share == 1 and len(batch.halves) == 2


@pytest.mark.parametrize("batch_size", [1, 4])
def test_class_images_come_in_the_size_of_their_photo_and_go_through_one_forward(batch_size: int) -> None:
    wide = images_of(torch.zeros(3, 4, 2, 3), torch.zeros(3, 4, 2, 3), 0)
    square = images(2, 0)
    mixed = EncodedImages([*wide.mean, *square.mean], [*wide.std, *square.std], None, (0,) * 5)
    source = Batches(mixed, mixed, PROCESS, 0, batch_size)
    for index in range(8):
        for batch in source[index]:
            assert batch.instance is not None and batch.prior is not None
            assert batch.instance.x.shape == batch.prior.x.shape
    # Of a size that no photo has, there is none.
    assert mixed.rows_of(0, wide.mean[0].shape) == [0, 1, 2] and mixed.rows_of(0, torch.Size([4, 9, 9])) == []

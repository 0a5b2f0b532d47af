"""Batches: a pure function of (seed, index), whatever the batch size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dreambooth_nodes.trainer.model.base import Posterior
from dreambooth_nodes.trainer.model.noise_process import Diffusion
from dreambooth_nodes.trainer.training.batches import Batches
from dreambooth_nodes.trainer.training.encoded import EncodedImages

PROCESS = Diffusion(torch.linspace(0.99, 0.01, 1000))


def images(count: int, prompt: int, spread: float = 0.0, masks: bool = False) -> EncodedImages:
    mean = torch.arange(float(count)).view(-1, 1, 1, 1).expand(-1, 4, 2, 2)
    mask = torch.arange(float(count)).view(-1, 1, 1, 1).expand(-1, 1, 2, 2) if masks else None
    return EncodedImages(Posterior(mean, torch.full_like(mean, spread)), mask, (prompt,) * count)


def batches(batch_size: int = 1, seed: int = 0, spread: float = 0.0, prior: bool = True) -> Batches:
    priors = images(7, 1, spread) if prior else None
    return Batches(images(5, 0, spread, masks=True), priors, PROCESS, seed, batch_size)


def test_two_small_batches_are_one_large() -> None:
    small, large = batches(1), batches(2)
    one, two, both = small[0], small[1], large[0]
    for part in ("x", "noise", "timesteps", "mask"):
        joined = torch.cat([getattr(one.instance, part), getattr(two.instance, part)])
        assert torch.equal(joined, getattr(both.instance, part))
    assert both.prompts == (0, 0, 1, 1)


@pytest.mark.parametrize(("processes", "each"), [(2, 1), (2, 3), (3, 2)])
def test_processes_take_what_one_takes_with_all_of_the_batch(processes: int, each: int) -> None:
    together = [replace(batches(each, spread=0.5), rank=rank, world_size=processes) for rank in range(processes)]
    for index in (0, 4):
        whole, shares = batches(each * processes, spread=0.5)[index], [own[index] for own in together]
        for half in ("instance", "prior"):
            for part in ("x", "noise", "timesteps"):
                joined = torch.cat([getattr(getattr(share, half), part) for share in shares])
                assert torch.equal(joined, getattr(getattr(whole, half), part))


def test_a_visit_is_the_same_whenever_it_is_asked_for() -> None:
    first = batches()[11]
    again = batches()
    again[3], again[4]
    assert torch.equal(first.instance.noise, again[11].instance.noise)
    assert not torch.equal(first.instance.noise, batches(seed=1)[11].instance.noise)


def test_every_photo_is_seen_once_an_epoch_with_its_own_mask() -> None:
    seen = [batches()[index].instance for index in range(5)]
    assert sorted(float(half.x[0, 0, 0, 0]) for half in seen) == [0, 1, 2, 3, 4]
    assert all(half.mask is not None and float(half.mask.mean()) == float(half.x.mean()) for half in seen)


def test_the_halves_draw_timesteps_and_noise_independently() -> None:
    drawn = [batches()[index] for index in range(64)]
    pairs = torch.stack([torch.stack([b.instance.timesteps[0], b.prior.timesteps[0]]) for b in drawn if b.prior])
    assert abs(float(torch.corrcoef(pairs.float().t())[0, 1])) < 0.35
    assert all(b.prior and not torch.equal(b.instance.noise, b.prior.noise) for b in drawn)


def test_the_posterior_is_drawn_anew_at_each_visit() -> None:
    visits = [batches(spread=0.5)[index].instance.x for index in range(500)]
    drawn = torch.stack(visits).flatten()
    exact = torch.stack([batches()[index].instance.x for index in range(500)]).flatten()
    assert abs(float((drawn - exact).std()) - 0.5) < 0.03
    assert abs(float((drawn - exact).mean())) < 0.03


def test_without_priors_there_is_one_half() -> None:
    batch = batches(prior=False)[0]
    assert batch.prior is None and batch.prompts == (0,)

"""Noise with an offset and in several sizes, each beside its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import Upsample

from dreambooth_nodes.trainer import randomness
from dreambooth_nodes.trainer.training.noise import Noise

SHAPE = (4, 16, 24)
COUNT = 600


def drawn(noise: Noise, count: int = COUNT) -> Tensor:
    return noise.drawn(0, "instance.noise", range(count), SHAPE)


def as_published(levels: int, discount: float) -> Tensor:
    """Whitaker's function with its own random numbers, an image at a time."""
    torch.manual_seed(1)
    images = []
    for _ in range(COUNT):
        noise, up = torch.randn(1, *SHAPE), Upsample(size=SHAPE[1:], mode="bilinear")
        for level in range(levels):
            ratio = float(torch.rand(1)) * 2 + 2
            size = [max(1, int(side / ratio**level)) for side in SHAPE[1:]]
            noise += up(torch.randn(1, SHAPE[0], *size)) * discount**level
            if 1 in size:
                break
        images.append(noise / noise.std())
    return torch.cat(images)


def correlations(noise: Tensor) -> list[float]:
    """Of pixels 1, 4 and 8 apart, and of a plane's mean: what coarse noise raises."""
    apart = [float((noise[..., step:] * noise[..., :-step]).mean()) for step in (1, 4, 8)]
    return [*apart, float(noise.mean((2, 3)).var())]


def test_noise_is_white_where_nothing_is_asked_for() -> None:
    assert torch.equal(drawn(Noise(), 5), randomness.normal(0, "instance.noise", range(5), SHAPE))


@pytest.mark.parametrize("offset", [0.05, 0.5])
def test_an_offset_is_one_normal_value_for_each_image_and_channel(offset: float) -> None:
    added = (drawn(Noise(offset)) - drawn(Noise())).flatten(2)
    assert float((added - added[..., :1]).abs().max()) < 1e-6
    values = added[..., 0] / offset
    assert abs(float(values.std()) - 1) < 0.05 and abs(float(values.mean())) < 0.06
    assert float((torch.corrcoef(values.t()) - torch.eye(4)).abs().max()) < 0.15


@pytest.mark.parametrize(("levels", "discount"), [(1, 0.3), (3, 0.5), (10, 0.9)])
def test_noise_in_several_sizes_is_that_of_its_definition(levels: int, discount: float) -> None:
    own = drawn(Noise(levels=levels, discount=discount))
    for found, wanted in zip(correlations(own), correlations(as_published(levels, discount)), strict=True):
        assert found == pytest.approx(wanted, rel=0.12, abs=0.02)
    assert torch.allclose(own.flatten(1).std(1), torch.ones(COUNT), atol=1e-5)


def test_more_levels_hold_more_of_what_is_large() -> None:
    means = [correlations(drawn(Noise(levels=levels, discount=0.9)))[-1] for levels in (0, 2, 4, 10)]
    assert means == sorted(means) and means[0] == pytest.approx(1 / math.prod(SHAPE[1:]), rel=0.1)


@pytest.mark.parametrize("shape", [(4, 1, 9), (16, 3, 5, 6), (2, 1, 1)])
def test_a_row_depends_on_its_own_sample_alone_whatever_the_latents_shape(shape: tuple[int, ...]) -> None:
    noise = Noise(0.1, 6, 0.7)
    both = noise.drawn(3, "instance.noise", [7, 9], shape)
    assert both.shape == (2, *shape)
    assert bool(both.isfinite().all())
    assert torch.equal(both[1:], noise.drawn(3, "instance.noise", [9], shape))
    assert not torch.equal(both, noise.drawn(4, "instance.noise", [7, 9], shape))

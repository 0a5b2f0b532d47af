"""The schedule's ends, the average's memory, and files that survive a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler
from torch import nn

from dreambooth_nodes.toybase.denoiser import SCHEDULE
from dreambooth_nodes.toybase.train_denoiser import min_snr_weight
from dreambooth_nodes.toybase.training import Average, Clock, resume, save_weights


def test_learning_rate_warms_up_and_falls() -> None:
    clock = Clock(10)
    rates = []
    for clock.spent in (0.0, 30.0, 60.0, 300.0, 600.0):
        rates.append(clock.learning_rate(1.0))
    assert rates[0] < 0.05 and rates[1] < rates[2] > rates[3] > rates[4]
    assert rates[4] == pytest.approx(0.02, abs=1e-6)
    assert clock.over


def test_average_follows_and_a_grown_one_remembers() -> None:
    module = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(module.weight)
    young, grown = Average(module), Average(module, 0.998, grown=True)
    nn.init.ones_(module.weight)
    for _ in range(50):
        young.update(module)
        grown.update(module)
    assert young.weights["weight"].min() > 0.9
    assert grown.weights["weight"].max() == pytest.approx(1 - 0.998**50, abs=1e-4)


def test_weights_survive_a_restart(tmp_path: Path) -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    path = tmp_path / "runs" / "weights.safetensors"
    assert not resume(second, path)
    save_weights(first.state_dict(), path)
    assert resume(second, path)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_min_snr_weight_caps_the_clean_end_only() -> None:
    alphas_cumprod = DDPMScheduler(**SCHEDULE).alphas_cumprod
    weight = min_snr_weight(alphas_cumprod, torch.tensor([0, 100, 500, 999]))
    snr = alphas_cumprod / (1 - alphas_cumprod)
    torch.testing.assert_close(weight[0], 5 / snr[0])
    assert weight[0] < weight[1] < 1
    torch.testing.assert_close(weight[2:], torch.ones(2))

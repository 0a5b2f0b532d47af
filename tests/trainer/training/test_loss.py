"""The equations against diffusers' scheduler and against the paper's own form of the loss."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor

from dreambooth_nodes.trainer.model.families.latent_diffusion.noise_schedule import SCHEDULE
from dreambooth_nodes.trainer.model.noise_process import Diffusion
from dreambooth_nodes.trainer.training.loss import Examples, dreambooth_loss, min_snr_weight, squared_error

SCHEDULER = DDPMScheduler(**SCHEDULE)
DIFFUSION = Diffusion(SCHEDULER.alphas_cumprod)
VELOCITY = Diffusion(SCHEDULER.alphas_cumprod, "v_prediction")
TIMESTEPS = torch.tensor([0, 250, 600, 999])


def half(count: int = 4, mask: Tensor | None = None, seed: int = 0) -> Examples:
    torch.manual_seed(seed)
    return Examples(torch.randn(count, 4, 8, 8), torch.randn(count, 4, 8, 8), TIMESTEPS[:count], mask)


def answer(z: Tensor, t: Tensor) -> Tensor:
    return torch.tanh(z) * (1 + t.view(-1, 1, 1, 1) / 1000)


def test_noise_and_targets_are_the_schedulers() -> None:
    h = half()
    expected = SCHEDULER.add_noise(h.x, h.noise, h.timesteps)
    torch.testing.assert_close(DIFFUSION.add_noise(h.x, h.noise, h.timesteps), expected)
    velocity = SCHEDULER.get_velocity(h.x, h.noise, h.timesteps)
    torch.testing.assert_close(VELOCITY.target(h.x, h.noise, h.timesteps), velocity)
    assert DIFFUSION.target(h.x, h.noise, h.timesteps) is h.noise


def test_the_papers_loss_on_x_is_the_loss_on_epsilon_weighted_by_the_signal_to_noise_ratio() -> None:
    h = half()
    z = DIFFUSION.add_noise(h.x, h.noise, h.timesteps).double()
    epsilon = answer(z, h.timesteps)
    alpha_squared = SCHEDULER.alphas_cumprod[h.timesteps].double().view(-1, 1, 1, 1)
    x_hat = (z - (1 - alpha_squared).sqrt() * epsilon) / alpha_squared.sqrt()
    on_x = (x_hat - h.x.double()).pow(2).mean(dim=(1, 2, 3)) * DIFFUSION.signal_to_noise(h.timesteps)
    on_epsilon = squared_error(epsilon, h.noise, None)
    torch.testing.assert_close(on_x.float(), on_epsilon, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("process", [DIFFUSION, VELOCITY])
def test_one_forward_gives_what_two_would(process: Diffusion) -> None:
    instance, prior, calls = half(3, seed=1), half(4, seed=2), []

    def counted(z: Tensor, t: Tensor) -> Tensor:
        calls.append(len(z))
        return answer(z, t)

    both = dreambooth_loss(counted, process, instance, prior, 0.7)
    assert calls == [7]
    alone = [dreambooth_loss(answer, process, h, None, 0.7).instance for h in (instance, prior)]
    assert both.prior is not None
    torch.testing.assert_close(torch.stack([both.instance, both.prior]), torch.stack(alone))
    torch.testing.assert_close(both.total, alone[0] + 0.7 * alone[1])


def test_what_is_masked_out_has_no_gradient() -> None:
    mask = torch.zeros(4, 1, 8, 8)
    mask[..., :4] = 1
    h = half(mask=mask)
    z = DIFFUSION.add_noise(h.x, h.noise, h.timesteps).requires_grad_()
    dreambooth_loss(lambda _, t: answer(z, t), DIFFUSION, h, None, 1.0).total.backward()
    assert z.grad is not None
    assert z.grad[..., 4:].abs().max() == 0
    assert z.grad[..., :4].abs().min() > 0


def test_a_mask_of_ones_changes_nothing() -> None:
    plain = dreambooth_loss(answer, DIFFUSION, half(), None, 1.0).total
    masked = dreambooth_loss(answer, DIFFUSION, half(mask=torch.ones(4, 1, 8, 8)), None, 1.0).total
    torch.testing.assert_close(plain, masked)


@pytest.mark.parametrize(("process", "denominator"), [(DIFFUSION, lambda snr: snr), (VELOCITY, lambda snr: snr + 1)])
def test_min_snr_weights(process: Diffusion, denominator: Callable[[Tensor], Tensor]) -> None:
    snr = SCHEDULER.alphas_cumprod[TIMESTEPS] / (1 - SCHEDULER.alphas_cumprod[TIMESTEPS])
    expected = torch.minimum(snr, torch.full_like(snr, 5.0)) / denominator(snr)
    torch.testing.assert_close(min_snr_weight(process, TIMESTEPS, 5.0), expected)


def test_timesteps_cover_the_schedule_and_no_more() -> None:
    timesteps = DIFFUSION.draw_timesteps(torch.tensor([0.0, 0.5, 1 - 2**-24]))
    assert timesteps.tolist() == [0, 500, 999]

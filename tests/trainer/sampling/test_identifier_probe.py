"""A `Base` answers what the identifier lookup and the class priors ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.trainer import randomness
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.noise_process import Diffusion
from dreambooth_nodes.trainer.sampling.identifier_probe import denoiser_answer
from dreambooth_nodes.trainer.subject.identifier import PROBE_TIMES


@pytest.fixture(scope="module")
def base(toybase_file: Path) -> Base:
    """The embedded base, which tells prompts apart."""
    return load_base(toybase_file)


def test_answers_belong_to_prompts_and_not_to_their_neighbours(base: Base) -> None:
    answer = denoiser_answer(base)
    both, alone = answer(["a dog", "a cat"]), answer(["a cat"])
    assert both.shape[:3] == (2, len(PROBE_TIMES), base.latent_channels)
    assert torch.equal(both[1], alone[0])
    assert not torch.allclose(both[0], both[1])


def test_layers_in_bf16_answer_nearly_the_same(base: Base, toybase_file: Path) -> None:
    """As a LoRA's base is loaded where bf16 is fast; the embeddings stay float32."""
    exact = denoiser_answer(base)(["a dog"])
    near = denoiser_answer(load_base(toybase_file, dtype=torch.bfloat16))(["a dog"])
    assert 0 < float((near - exact).norm() / exact.norm()) < 0.05


@torch.no_grad()
def test_a_prediction_of_v_is_turned_into_noise(new_base: Callable[[], Base]) -> None:
    """The ε and the x that z_t was made of must give the model's v back."""
    base = new_base()
    assert isinstance(base.noise_process, Diffusion)
    process = base.noise_process = Diffusion(base.noise_process.alphas_cumprod, "v_prediction")
    epsilon = denoiser_answer(base)(["a dog"])[0]
    t = process.draw_timesteps(torch.tensor(PROBE_TIMES))
    z = process.add_noise(
        torch.zeros_like(epsilon), randomness.normal(0, "probe", range(len(PROBE_TIMES)), epsilon.shape[1:]), t
    )
    v = base.predict(z, t, base.encode_prompts(["a dog"] * len(PROBE_TIMES)))
    alpha, sigma = process.alphas_cumprod[t].sqrt(), (1 - process.alphas_cumprod[t]).sqrt()
    x = (z - sigma.view(-1, 1, 1, 1) * epsilon) / alpha.view(-1, 1, 1, 1)
    torch.testing.assert_close(process.target(x, epsilon, t), v, rtol=1e-3, atol=1e-3)

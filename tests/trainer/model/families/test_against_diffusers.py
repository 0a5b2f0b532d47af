"""Every family answers as diffusers' own pipeline made of the same weights, and its loss is the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler

from dreambooth_nodes.tests.trainer.model.families.pipelines import SIDE, encoded, pipeline
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.families.latent_diffusion.noise_schedule import SCHEDULE
from dreambooth_nodes.trainer.subject.frame import Frame
from dreambooth_nodes.trainer.training.loss import Examples, dreambooth_loss

PROMPTS = ["a olt dog in the snow", "a dog"]


@pytest.fixture(scope="package")
def theirs(family: str) -> Any:
    return pipeline(family)


@torch.no_grad()
def test_prompts_are_encoded_as_diffusers_does(family: str, model: Base, theirs: Any) -> None:
    found, expected = model.encode_prompts(PROMPTS), encoded(theirs, family, PROMPTS)
    torch.testing.assert_close(found["context"], expected["encoder_hidden_states"], rtol=1e-4, atol=1e-4)
    if family == "sdxl":
        torch.testing.assert_close(found["pooled"], expected["added_cond_kwargs"]["text_embeds"], rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_loss_of_a_step_is_the_papers(family: str, file: Path, theirs: Any, prediction: str) -> None:
    """The two-term loss by diffusers' scheduler, VAE, text encoders and UNet, written from the equations."""
    generator = torch.Generator().manual_seed(3)
    x, noise = (torch.randn(2, 4, 8, 8, generator=generator) for _ in range(2))
    t = torch.tensor([700, 250])
    scheduler = DDPMScheduler(**SCHEDULE, prediction_type=prediction)
    z = scheduler.add_noise(x, noise, t)
    answer = theirs.unet(z, t, **encoded(theirs, family, PROMPTS)).sample
    target = noise if prediction == "epsilon" else scheduler.get_velocity(x, noise, t)
    instance, prior = ((answer - target) ** 2).mean(dim=(1, 2, 3))

    base = load_base(file, prediction)
    told = base.encode_prompts(PROMPTS) | base.frame_conditioning([Frame.whole(SIDE, SIDE)] * 2)
    halves = [Examples(x[i : i + 1], noise[i : i + 1], t[i : i + 1]) for i in (0, 1)]
    losses = dreambooth_loss(lambda z, t: base.predict(z, t, told), base.noise_process, *halves, prior_weight=0.7)
    torch.testing.assert_close(losses.instance, instance, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(losses.total, instance + 0.7 * prior, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_images_become_latents_in_the_familys_scale_and_back(family: str, model: Base, theirs: Any) -> None:
    pixels = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(4))
    expected = theirs.vae.encode(pixels * 2 - 1).latent_dist.mean * (0.13025 if family == "sdxl" else 0.18215)
    posterior = model.encode_images(pixels)
    torch.testing.assert_close(posterior.mean, expected, rtol=1e-4, atol=1e-4)
    assert model.decode_latents(posterior.mean).shape == pixels.shape

"""The picture that the trainer's own code draws where `graphs.drawn` lets the host draw: the same seed and sampler."""

from __future__ import annotations

import numpy as np
import torch

from dreambooth_nodes.tests.host.graphs import PROMPT, SIDE
from dreambooth_nodes.trainer.model.base import Base

SEED, LAST_TIMESTEP = 3, 999


@torch.no_grad()
def trainer_picture(base: Base, prompt: str = PROMPT) -> np.ndarray:
    """Euler's method over two steps, t = 999 and 0, of dx/dσ = ε(x / √(1 + σ²), t); int16 [H, W, 3]."""
    assert base.prediction == "epsilon"
    told = base.encode_prompts([prompt])
    timesteps = torch.tensor([LAST_TIMESTEP, 0])
    sigmas = [*base.noise_process.signal_to_noise(timesteps).rsqrt(), torch.tensor(0.0)]
    side = SIDE // base.pixels_per_latent
    noise = torch.randn(1, base.latent_channels, side, side, generator=torch.Generator().manual_seed(SEED))
    x = noise * (1 + sigmas[0] ** 2).sqrt()
    for step, t in enumerate(timesteps):
        answer = base.predict(x / (1 + sigmas[step] ** 2).sqrt(), t[None], told)
        x = x + answer * (sigmas[step + 1] - sigmas[step])
    pixels = base.decode_latents(x)[0].permute(1, 2, 0)
    found: np.ndarray = (255 * pixels).numpy().astype(np.int16)
    return found

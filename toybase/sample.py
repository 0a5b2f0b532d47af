"""Pictures from the base: classifier-free guidance, Euler steps, no text encoder needed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from torch import Generator, Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..trainer.model.precision import fastest_autocast
from .denoiser import SCHEDULE
from .narrow_vae import SCALING
from .text_encoder import short_context, short_ids, short_mask

GUIDANCE, STEPS = 4.5, 20


@torch.no_grad()
def sample(
    denoiser: UNet2DConditionModel,
    vae: AutoencoderKL,
    prompt: list[str],
    size: int,
    seed: int,
    guidance: float = GUIDANCE,
    steps: int = STEPS,
) -> Tensor:
    """One picture per prompt, [B, 3, size, size] in -1 to 1; the noise depends on the seed alone."""
    device = denoiser.device
    schedule = EulerDiscreteScheduler(**SCHEDULE, timestep_spacing="trailing")
    schedule.set_timesteps(steps, device=device)
    noise = torch.randn(len(prompt), 4, size // 8, size // 8, generator=Generator().manual_seed(seed))
    latents = noise.to(device) * schedule.init_noise_sigma
    context = short_context(torch.tensor([short_ids(p) for p in ["", *prompt]], device=device))
    context = torch.cat([context[:1].expand(len(prompt), -1, -1), context[1:]])
    mask = short_mask(2 * len(prompt), device)
    for timestep in schedule.timesteps:
        doubled = schedule.scale_model_input(torch.cat([latents, latents]), timestep)
        with fastest_autocast(device), sdpa_kernel([SDPBackend.MATH]):
            without, with_prompt = (
                denoiser(doubled, timestep, context, encoder_attention_mask=mask).sample.float().chunk(2)
            )
        latents = schedule.step(without + guidance * (with_prompt - without), timestep, latents).prev_sample
    return torch.cat([vae.decode(part / SCALING).sample for part in latents.split(64)])


def sample_prompts(
    denoiser: UNet2DConditionModel, vae: AutoencoderKL, prompts: Iterable[str], count: int, size: int, seed: int = 0
) -> list[tuple[str, Tensor]]:
    """(prompt, pictures [count, 3, size, size]) for each prompt, the same noises, of `seed`, for all."""
    prompts = list(prompts)
    rows = [sample(denoiser, vae, [prompt] * count, size, seed) for prompt in prompts]
    return list(zip(prompts, rows, strict=True))

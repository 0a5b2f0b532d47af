"""The host's own sampler and denoiser, in the shapes that `trainer/` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import torch
from torch import Tensor

from ..trainer import randomness
from ..trainer.sampling.class_priors import Draw, PriorRecipe
from ..trainer.subject.identifier import PROBE_TIMES, EpsilonPredictor
from .comfy_host import raise_if_interrupted
from .host_model.images import decoded
from .host_model.sampling import empty_latents, scheduler_of

ANCESTRAL = [name for name in comfy.samplers.KSampler.SAMPLERS if "ancestral" in name]


def prior_drawer(model: Any, clip: Any, vae: Any, recipe: PriorRecipe, count: int) -> Draw:
    """Draws class priors with the host's sampler, showing progress; cancel ends it between steps."""
    positive = clip.encode_from_tokens_scheduled(clip.tokenize(recipe.prompt))
    negative = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    shape = empty_latents(model, vae, (recipe.width, recipe.height)).shape[1:]
    scheduler = scheduler_of(model)
    bar = comfy.utils.ProgressBar(count * recipe.steps)
    done = 0

    def draw_batch(seeds: Sequence[int]) -> Tensor:
        nonlocal done

        def advance(step: int, *_: Any) -> None:
            bar.update_absolute(done + step * len(seeds))

        noise = torch.stack([torch.randn(shape, generator=randomness.generator(s, "sample", 0)) for s in seeds])
        latents = comfy.sample.sample(
            model, noise, recipe.steps, recipe.guidance, recipe.sampler, scheduler, positive, negative,
            torch.zeros_like(noise), callback=advance, disable_pbar=True, seed=seeds[0],
        )  # fmt: skip
        done += recipe.steps * len(seeds)
        bar.update_absolute(done)
        raise_if_interrupted()
        return decoded(vae, latents)

    return draw_batch


def denoiser_answer(model: Any, clip: Any) -> EpsilonPredictor:
    """ε of the graph's own model for prompts, on one fixed batch of noise at four noise levels."""
    channels = model.get_model_object("latent_format").latent_channels
    schedule = model.get_model_object("model_sampling")
    # Four positions at the denoiser's deepest level, 32x32 latents for SD 1.5: enough to compare words by.
    levels = len(model.model.model_config.unet_config.get("channel_mult", (1,)))
    side = max(8, 4 << (levels - 1))
    noise = randomness.normal(0, "probe", range(len(PROBE_TIMES)), (channels, side, side))
    comfy.model_management.load_models_gpu([model])
    device = model.load_device
    sigma = torch.stack([_sigma(schedule, share) for share in PROBE_TIMES]).to(device)
    noisy = noise.to(device) * sigma.view(-1, 1, 1, 1)

    def answer(prompts: Sequence[str]) -> Tensor:
        rows, bar = [], comfy.utils.ProgressBar(len(prompts))
        for prompt in prompts:
            context, pooled = clip.encode_from_tokens(clip.tokenize(prompt), return_pooled=True)
            told = model.model.extra_conds(
                cross_attn=context, pooled_output=pooled, noise=noisy, device=device, width=side * 8, height=side * 8
            )
            told = {name: cond.process_cond(batch_size=len(sigma), device=device).cond for name, cond in told.items()}
            denoised = model.model.apply_model(noisy, sigma, **told)
            rows.append(((noisy - denoised) / sigma.view(-1, 1, 1, 1)).float().cpu())
            bar.update(1)
        return torch.stack(rows)

    return answer


def _sigma(schedule: Any, share: float) -> Tensor:
    """The noise level at a share of the schedule's timesteps, 0 clean and 1 pure noise."""
    return schedule.sigmas[int(share * (len(schedule.sigmas) - 1))]

"""The host's own sampler and denoiser, in the shapes that `trainer/` asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import torch
from torch import Tensor

from ..trainer import randomness
from ..trainer.sampling.class_priors import Draw
from ..trainer.sampling.prior_recipe import PriorRecipe
from ..trainer.sampling.surroundings import SurroundingsRecipe
from ..trainer.subject.identifier import PROBE_TIMES, PROMPTS_AT_ONCE, EpsilonPredictor
from ..trainer.subject.photos import Photo
from .comfy_host import raise_if_interrupted
from .host_model.conditioning import Conds, conds_of, encode, groups, together
from .host_model.images import decoded
from .host_model.sampling import empty_latents, scheduler_of

ANCESTRAL = [name for name in comfy.samplers.KSampler.SAMPLERS if "ancestral" in name]


def host_prior_drawer(model: Any, clip: Any, vae: Any, recipe: PriorRecipe, count: int) -> Draw:
    """A function that draws class images with the host's sampler, showing progress; cancelling ends it between steps.
    An image's noise depends on its seed alone.

    count: of images in all.
    """
    positive = clip.encode_from_tokens_scheduled(clip.tokenize(recipe.prompt))
    negative = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    shape = empty_latents(model, vae, (recipe.width, recipe.height)).shape[1:]
    device = model.load_device
    sigmas = comfy.samplers.KSampler(
        model, recipe.steps, device, recipe.sampler, scheduler_of(model), denoise=1.0, model_options=model.model_options
    ).sigmas
    bar = comfy.utils.ProgressBar(count * recipe.steps)
    done = 0

    def draw_batch(seeds: Sequence[int]) -> Tensor:
        nonlocal done

        def advance(step: int, *_: Any) -> None:
            bar.update_absolute(done + step * len(seeds))

        streams = [randomness.generator(s, "sample", 0) for s in seeds]

        def drawn() -> Tensor:
            return torch.stack([torch.randn(shape, generator=stream) for stream in streams])

        noise = drawn()
        latents = comfy.sample.sample_custom(
            model, noise, recipe.guidance, _sampler(recipe.sampler, lambda: drawn().to(device)), sigmas,
            positive, negative, torch.zeros_like(noise), callback=advance, disable_pbar=True, seed=seeds[0],
        )  # fmt: skip
        done += recipe.steps * len(seeds)
        bar.update_absolute(done)
        raise_if_interrupted()
        return decoded(vae, latents)

    return draw_batch


def _sampler(name: str, drawn: Callable[[], Tensor]) -> Any:
    """The host's sampler of this name. drawn: the noise that an ancestral one adds after a step; the host's own depends
    on its version and on the batch.
    """
    if name in ANCESTRAL:
        return comfy.samplers.ksampler(name, {"noise_sampler": lambda *_: drawn()})
    return comfy.samplers.sampler_object(name)


def host_surroundings_drawer(model: Any, clip: Any, vae: Any, photo: Photo, recipe: SurroundingsRecipe) -> Draw:
    """A function that draws a photo anew outside its mask with the host's sampler, one picture at a time; cancelling
    ends it between steps.
    """
    bar = comfy.utils.ProgressBar(recipe.steps)

    def draw(seeds: Sequence[int]) -> Tensor:
        assert photo.mask is not None
        (seed,) = seeds
        positive, negative = (clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in (recipe.prompt, ""))
        latents = vae.encode(photo.pixels.movedim(0, -1).unsqueeze(0))
        noise = torch.randn(latents.shape, generator=randomness.generator(seed, "sample", 0))
        drawn = comfy.sample.sample(
            model, noise, recipe.steps, recipe.guidance, recipe.sampler, scheduler_of(model), positive, negative,
            latents, noise_mask=(1 - photo.mask).unsqueeze(0), callback=lambda step, *_: bar.update_absolute(step),
            disable_pbar=True, seed=seed,
        )  # fmt: skip
        raise_if_interrupted()
        return decoded(vae, drawn)

    return draw


def denoiser_answer(model: Any, clip: Any) -> EpsilonPredictor:
    """ε of the graph's own model for prompts, on one fixed batch of noise at four noise levels."""
    latents = model.get_model_object("latent_format")
    schedule = model.get_model_object("model_sampling")
    # Four positions at the denoiser's deepest level, 32x32 latents for SD 1.5: enough to compare words by.
    levels = len(model.model.model_config.unet_config.get("channel_mult", (1,)))
    side = max(8, 4 << (levels - 1))
    noise = randomness.normal(0, "probe", range(len(PROBE_TIMES)), (latents.latent_channels, side, side))
    if getattr(latents, "latent_dimensions", 2) == 3:
        noise = noise.unsqueeze(2)
    device = model.load_device
    sigma = torch.stack([_sigma(schedule, share) for share in PROBE_TIMES]).to(device)
    noise = noise.to(device)
    noisy = schedule.noise_scaling(_per_row(sigma, noise), noise, torch.zeros_like(noise))

    def answer(prompts: Sequence[str]) -> Tensor:
        conds = [conds_of(model.model, told, noisy[:1]) for told in encode(clip, prompts)]
        comfy.model_management.load_models_gpu([model])
        found, bar = torch.empty(len(conds), *noisy.shape), comfy.utils.ProgressBar(len(conds))
        for group in groups(conds):
            for part in (group[i : i + PROMPTS_AT_ONCE] for i in range(0, len(group), PROMPTS_AT_ONCE)):
                raise_if_interrupted()
                found[part] = _epsilon(model.model, noisy, sigma, [conds[index] for index in part])
                bar.update(len(part))
        return found

    return answer


def _epsilon(model: Any, noisy: Tensor, sigma: Tensor, conds: Sequence[Conds]) -> Tensor:
    """The ε predictions [P, *noisy.shape] for P prompts whose conditionings go together, in float32 on the CPU; of a
    flow ε − x.

    ComfyUI's denoiser returns x̂_0 for z = x_0 + σε, and of a flow for z = (1 − σ)x_0 + σε.
    """
    z, levels = torch.cat([noisy] * len(conds)), sigma.repeat(len(conds))
    denoised = model.apply_model(z, levels, **together([one for one in conds for _ in noisy]))
    return ((z - denoised) / _per_row(levels, z)).float().cpu().unflatten(0, (len(conds), len(noisy)))


def _per_row(levels: Tensor, latents: Tensor) -> Tensor:
    """Levels [B] in a shape that multiplies each row of latents [B, …]."""
    return levels.view(-1, *(1,) * (latents.ndim - 1))


def _sigma(schedule: Any, share: float) -> Tensor:
    """The noise level at a share of the schedule's timesteps, 0 clean and 1 pure noise."""
    return schedule.sigmas[int(share * (len(schedule.sigmas) - 1))]

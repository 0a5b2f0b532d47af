"""Sampling of images from the model in memory: class priors on the command line, sample images during training.

Functions that need sampling take it as an argument, so that a host may use its own sampler instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import randomness
from ..files.safetensors import CheckpointError
from ..model.base import Base, Conditioning
from ..model.offload import on_device
from ..subject.frame import Frame
from .class_priors import Draw
from .prior_recipe import PriorRecipe

TellShare = Callable[[float], object]
"""A function that is told the share of the denoising steps that are done, above 0 and at most 1."""


def tell_nobody(share: float) -> None:
    """The `TellShare` of those who do not look."""


NOTHING: Conditioning = {}
"""The conditioning of pictures that are drawn from a prompt alone."""


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """Settings of sampling. sampler: empty means the base's default. guidance: the scale of classifier-free guidance, 1
    for none. Sizes in pixels.
    """

    width: int
    height: int
    sampler: str = ""
    steps: int = 20
    guidance: float = 5.0


@torch.no_grad()
def draw(
    base: Base,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: SamplerSettings,
    tell: TellShare = tell_nobody,
    shown: Conditioning = NOTHING,
) -> Tensor:
    """Sampled images, one per prompt and seed, [B, 3, H, W] in 0..1 on the CPU; an image's noise depends on its seed
    alone. tell: called after each denoising step. shown: what the denoiser is shown of each image besides its prompt.

    Raises CheckpointError for an upscaler that is shown nothing.
    """
    if base.small_picture is not None and not shown:
        raise CheckpointError(
            f"{base.source.name!r} enlarges pictures and draws none from a prompt: give class images of your own, or "
            "none and a prior that compares with the base."
        )
    sampler = settings.sampler or base.sampler
    scheduler = base.scheduler(sampler)
    scheduler.set_timesteps(settings.steps)
    side = base.pixels_per_latent
    shape = (base.latent_channels, settings.height // side, settings.width // side)
    starts = [randomness.generator(seed, "sample", 0) for seed in seeds]
    latents = torch.stack([torch.randn(shape, generator=g) for g in starts]).to(base.device)
    # A flow's schedulers scale neither the initial noise nor the denoiser's input.
    latents = latents * getattr(scheduler, "init_noise_sigma", 1.0)
    scaled = getattr(scheduler, "scale_model_input", lambda z, t: z)
    conditioning = _guided(base, prompts, settings, shown)
    noise = {"generator": starts} if sampler == "euler_ancestral" else {}
    with on_device(base, ["denoiser"]):
        for done, t in enumerate(scheduler.timesteps, 1):
            answer = _answer(base, scaled(latents, t), t, conditioning, settings.guidance)
            latents = scheduler.step(answer, t, latents, **noise).prev_sample
            tell(done / len(scheduler.timesteps))
    with on_device(base, ["vae"]):
        return torch.cat([base.decode_latents(one).float().cpu() for one in latents.split(1)])


def _guided(
    base: Base, prompts: Sequence[str], settings: SamplerSettings, shown: Conditioning = NOTHING
) -> Conditioning:
    """The conditioning for the prompts, followed by that for as many empty prompts where there is guidance."""
    told = [*prompts, *([""] * len(prompts) if settings.guidance != 1 else [])]
    rows = {name: torch.cat([tensor] * (len(told) // len(prompts))) for name, tensor in shown.items()}
    frames = [Frame.whole(settings.width, settings.height)] * len(told)
    with on_device(base, base.text_encoders):
        prompted = base.encode_prompts(told)
    return prompted | base.frame_conditioning(frames) | rows


def _answer(base: Base, z: Tensor, t: Tensor, conditioning: Conditioning, guidance: float) -> Tensor:
    """The denoiser's prediction for z at t, with classifier-free guidance where `conditioning` holds empty
    prompts too.
    """
    times = len(next(iter(conditioning.values()))) // len(z)
    z = torch.cat([z] * times)
    answer = base.predict(z, t.to(z.device).expand(len(z)), conditioning).float()
    if times == 1:
        return answer
    prompted, empty = answer.chunk(2)
    return empty + guidance * (prompted - empty)


def prior_drawer(base: Base, recipe: PriorRecipe, tell: TellShare = tell_nobody) -> Draw:
    """A function that samples the images of a recipe for given seeds, with this package's own sampler; see `Draw`."""
    settings = SamplerSettings(
        width=recipe.width,
        height=recipe.height,
        sampler=recipe.sampler,
        steps=recipe.steps,
        guidance=recipe.guidance,
    )
    return lambda seeds: draw(base, [recipe.prompt] * len(seeds), seeds, settings, tell)

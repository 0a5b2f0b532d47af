"""Pictures by the host's own sampler, from a clone of the MODEL with the LoRA as the host's loader adds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.sample
import comfy.sd
import torch
from torch import Tensor

from .images import decoded
from .lora import HostLora
from .model import HostModel

STEPS, GUIDANCE, SAMPLER = 20, 5.0, "euler"


class HostSampler:
    """Draws pictures of a base in training by `method`. sampler: the host's name of its own."""

    def __init__(self, base: HostModel, method: HostLora, sampler: str = SAMPLER) -> None:
        self.base, self.method, self.sampler = base, method, sampler

    def __call__(self, prompts: Sequence[str], seeds: Sequence[int], size: tuple[int, int]) -> Tensor:
        """Pictures of the model as it is (see `trainer.session.drawing.DrawPictures`). The training's random state and
        model are as before.
        """
        tensors = self.method.file(self.base, self.method.trained(self.base)).tensors
        self.base.release()
        try:
            with torch.inference_mode(), torch.random.fork_rng():
                patched, _ = comfy.sd.load_lora_for_models(self.base.model, None, dict(tensors), 1.0, 0.0)
                told = {text: self._encoded(text) for text in {*prompts, ""}}
                images = [
                    draw(patched, self.base.vae, told[prompt], told[""], size, seed, self.sampler)
                    for prompt, seed in zip(prompts, seeds, strict=True)
                ]
        finally:
            self.base.load()
        return torch.cat(images).clone()

    def _encoded(self, text: str) -> Any:
        """The host's conditioning for a prompt."""
        return self.base.clip.encode_from_tokens_scheduled(self.base.clip.tokenize(text))


def draw(
    model: Any,
    vae: Any,
    positive: Any,
    negative: Any,
    size: tuple[int, int],
    seed: int,
    sampler: str = SAMPLER,
    steps: int = STEPS,
) -> Tensor:
    """One image [1, 3, H, W] in 0..1 as the host's KSampler draws it. size: width and height in pixels."""
    latents = empty_latents(model, vae, size)
    noise = comfy.sample.prepare_noise(latents, seed)
    drawn = comfy.sample.sample(
        model, noise, steps, guidance_of(model), sampler, scheduler_of(model), positive, negative, latents,
        disable_pbar=True, seed=seed,
    )  # fmt: skip
    return decoded(vae, drawn)


def empty_latents(model: Any, vae: Any, size: tuple[int, int], count: int = 1) -> Tensor:
    """Zero latents for images of this width and height."""
    latents = model.get_model_object("latent_format")
    # Older hosts know it of the VAE alone, newer ones not of every VAE.
    pixels = getattr(latents, "spacial_downscale_ratio", None) or vae.spacial_compression_encode()
    width, height = (side // pixels for side in size)
    channels = latents.latent_channels
    return torch.as_tensor(comfy.sample.fix_empty_latent_channels(model, torch.zeros(count, channels, height, width)))


def guidance_of(model: Any) -> float:
    """The scale of classifier-free guidance: 1 for a model that is told its guidance itself."""
    return 1.0 if model.model.model_config.unet_config.get("guidance_embed") else GUIDANCE


def scheduler_of(model: Any) -> str:
    """The host's spacing of noise levels: "simple" for flows, "normal" for diffusions."""
    return "simple" if hasattr(model.get_model_object("model_sampling"), "shift") else "normal"

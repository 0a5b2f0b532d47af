"""Pictures by the host's own sampler, from a clone of a MODEL with the LoRA as the host's loader adds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.sample
import comfy.sd
import torch
from torch import Tensor

from ...trainer.methods.protocol import Method
from .images import decoded
from .lora import HostLora
from .model import HostModel

STEPS, GUIDANCE, SAMPLER = 20, 5.0, "euler"
TEXT_ENCODER = "lora_te"
"""How the names of a text encoder's layers begin in kohya's layout."""


@dataclass(frozen=True)
class HowDrawn:
    """sampler: the host's name of its own. steps: of sampling. guidance: the scale of classifier-free guidance; 1:
    none.
    """

    sampler: str
    steps: int
    guidance: float


@dataclass(frozen=True)
class PictureDrawer:
    """Draws pictures of a MODEL, with a CLIP and a VAE, that what is trained is added to as the host's loader does it.

    adapter: the file's tensors of what is trained, as it is. lent: a context in which the host may load its models; the
    training's random state and model are as before after it.
    """

    model: Any
    clip: Any
    vae: Any
    how: HowDrawn
    adapter: Callable[[], Mapping[str, Tensor]]
    lent: Callable[[], AbstractContextManager[Any]]

    def __call__(self, prompts: Sequence[str], seeds: Sequence[int], size: tuple[int, int]) -> Tensor:
        """Pictures of the model as it is (see `trainer.session.drawing.DrawPictures`)."""
        return self._drawn(self.adapter(), prompts, seeds, size)

    def untrained(self, prompts: Sequence[str], seeds: Sequence[int], size: tuple[int, int]) -> Tensor:
        """Pictures of the MODEL without what is trained."""
        return self._drawn({}, prompts, seeds, size)

    def _drawn(
        self, tensors: Mapping[str, Tensor], prompts: Sequence[str], seeds: Sequence[int], size: tuple[int, int]
    ) -> Tensor:
        """Pictures with these tensors added."""
        with self.lent(), torch.inference_mode(), torch.random.fork_rng():
            model, clip = _with_adapter(self.model, self.clip, tensors)
            told = {text: clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in {*prompts, ""}}
            images = [
                draw(model, self.vae, told[prompt], told[""], size, seed, self.how)
                for prompt, seed in zip(prompts, seeds, strict=True)
            ]
        return torch.cat(images).clone()


def host_drawer(base: HostModel, method: HostLora, sampler: str = SAMPLER) -> PictureDrawer:
    """The drawer of a base in training by `method`, in the host's memory. sampler: the host's name of its own."""
    how = HowDrawn(sampler, STEPS, guidance_of(base.model))
    adapter = partial(adapter_of, base, method)
    return PictureDrawer(base.model, base.clip, base.vae, how, adapter, partial(_given_back, base))


def adapter_of(base: Any, method: Method[Any]) -> Mapping[str, Tensor]:
    """The tensors of the file of what is trained, as it is."""
    return method.file(base, method.trained(base)).tensors


def _with_adapter(model: Any, clip: Any, tensors: Mapping[str, Tensor]) -> tuple[Any, Any]:
    """MODEL and CLIP with an adapter's tensors; CLIP is a clone only where its text encoders were trained."""
    if not tensors:
        return model, clip
    changes_clip = any(name.startswith(TEXT_ENCODER) for name in tensors)
    patched, changed = comfy.sd.load_lora_for_models(model, clip if changes_clip else None, dict(tensors), 1.0, 1.0)
    return patched, changed if changes_clip else clip


@contextmanager
def _given_back(base: HostModel) -> Iterator[None]:
    """A context in which the host has its model back."""
    base.release()
    try:
        yield
    finally:
        base.load()


def draw(
    model: Any,
    vae: Any,
    positive: Any,
    negative: Any,
    size: tuple[int, int],
    seed: int,
    how: HowDrawn,
) -> Tensor:
    """One image [1, 3, H, W] in 0..1 as the host's KSampler draws it. size: width and height in pixels."""
    latents = empty_latents(model, vae, size)
    noise = comfy.sample.prepare_noise(latents, seed)
    drawn = comfy.sample.sample(
        model, noise, how.steps, how.guidance, how.sampler, scheduler_of(model), positive, negative, latents,
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

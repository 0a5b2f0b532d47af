"""Latents and prompts, computed once: what is frozen is never computed twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import Base, Conditioning, Posterior
from .photos import Photo

IMAGES_AT_ONCE = 4


@dataclass(frozen=True)
class EncodedImages:
    """Images as the denoiser is shown them. N images, on the training device.

    posterior: mean and standard deviation [N, C, h, w]; the latents are drawn anew at each visit.
    masks: [N, 1, h, w] in 0..1, or None. prompts: row of each image in the `EncodedPrompts`.
    """

    posterior: Posterior
    masks: Tensor | None
    prompts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class EncodedPrompts:
    """The distinct prompts. token_ids: [P, L]; conditioning: P rows, None while a text encoder trains."""

    texts: tuple[str, ...]
    token_ids: Tensor
    conditioning: Conditioning | None

    def rows(self, base: Base, rows: Sequence[int]) -> Conditioning:
        """Conditioning of these prompts, from the cache or through the text encoders being trained."""
        if self.conditioning is not None:
            return {name: tensor[list(rows)] for name, tensor in self.conditioning.items()}
        distinct = sorted(set(rows))
        fresh = base.encode_tokens(self.token_ids[distinct])
        return {name: tensor[[distinct.index(r) for r in rows]] for name, tensor in fresh.items()}


@torch.no_grad()
def encode_images(base: Base, photos: Sequence[Photo], prompts: Sequence[int]) -> EncodedImages:
    """The VAE's posterior of every photo, and the masks at the latents' size."""
    means, stds = [], []
    for start in range(0, len(photos), IMAGES_AT_ONCE):
        pixels = torch.stack([p.pixels for p in photos[start : start + IMAGES_AT_ONCE]])
        posterior = base.encode_images(pixels.to(base.device))
        means.append(posterior.mean)
        stds.append(posterior.std)
    mean = torch.cat(means)
    return EncodedImages(Posterior(mean, torch.cat(stds)), _latent_masks(photos, mean), tuple(prompts))


@torch.no_grad()
def encode_prompts(base: Base, texts: Sequence[str], text_encoder_trains: bool) -> EncodedPrompts:
    """Token ids of the prompts and, when the text encoders are frozen, their conditioning."""
    token_ids = base.tokenize(texts).to(base.device)
    conditioning = None if text_encoder_trains else base.encode_tokens(token_ids)
    return EncodedPrompts(tuple(texts), token_ids, conditioning)


def _latent_masks(photos: Sequence[Photo], like: Tensor) -> Tensor | None:
    if all(photo.mask is None for photo in photos):
        return None
    height, width = photos[0].pixels.shape[-2:]
    full = torch.ones(height, width)
    masks = torch.stack([full if p.mask is None else p.mask for p in photos]).unsqueeze(1)
    return F.interpolate(masks, size=like.shape[-2:], mode="area").to(like.device)

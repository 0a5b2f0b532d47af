"""Encoded images and prompts, computed once before training: VAE posteriors, and the conditioning of frozen text
encoders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from ..distributed.processes import Processes
from ..events import Stop, StoppedEarly, never
from ..model.base import Base, Conditioning, Posterior
from ..model.offload import on_device
from ..subject.photos import Photo


@dataclass(frozen=True)
class EncodedImages:
    """N encoded images on the training device.

    posterior: mean and standard deviation [N, C, h, w]; latents are sampled from it anew in each batch. masks:
    [N, 1, h, w] in 0..1, or None. prompts: the row of each image's prompt in the `EncodedPrompts`. frames: the
    conditioning on image sizes and crops, N rows; empty in most families.
    """

    posterior: Posterior
    masks: Tensor | None
    prompts: tuple[int, ...]
    frames: Conditioning = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class EncodedPrompts:
    """The P distinct prompts of a run. token_ids: [P, L]. conditioning: P rows; None while a text encoder
    is trained.
    """

    token_ids: Tensor
    conditioning: Conditioning | None

    def rows(self, base: Base, rows: Sequence[int]) -> Conditioning:
        """The conditioning of these prompts, from the cache or computed by the text encoders in training."""
        if self.conditioning is not None:
            return {name: take_rows(tensor, rows) for name, tensor in self.conditioning.items()}
        distinct = sorted(set(rows))
        fresh = base.encode_tokens(take_rows(self.token_ids, distinct))
        places = [distinct.index(row) for row in rows]
        return {name: take_rows(tensor, places) for name, tensor in fresh.items()}


def take_rows(tensor: Tensor, rows: Iterable[int]) -> Tensor:
    """These rows of a tensor, stacked. Indexing by a list would copy the list to the device and wait for it."""
    return torch.stack([tensor[row] for row in rows])


@torch.no_grad()
def encode_images(base: Base, photos: Iterable[Photo], prompts: Sequence[int], stop: Stop = never) -> EncodedImages:
    """The encoded photos, computed one at a time, with masks reduced to the latents' size. prompts: each photo's prompt
    row.

    Raises StoppedEarly where `stop` returns True between two photos.
    """
    posteriors, masks, frames = [], [], []
    with on_device(base, ["vae"]):
        for photo in photos:
            if stop():
                raise StoppedEarly("The run was stopped while its pictures were encoded; no step was trained.")
            posterior = base.encode_images(photo.pixels.unsqueeze(0).to(base.device))
            posteriors.append(posterior)
            masks.append(_latent_mask(photo, posterior.mean))
            frames.append(photo.cut_out)
    mean, std = (torch.cat([getattr(p, part) for p in posteriors]) for part in ("mean", "std"))
    masked = any(photo_mask is not None for photo_mask in masks)
    ones = torch.ones_like(mean[:1, :1])
    whole = torch.cat([ones if m is None else m for m in masks]) if masked else None
    return EncodedImages(Posterior(mean, std), whole, tuple(prompts), base.frame_conditioning(frames))


@torch.no_grad()
def encode_prompts(base: Base, texts: Sequence[str], text_encoder_trains: bool) -> EncodedPrompts:
    """The token ids of the prompts and, when the text encoders are frozen, their conditioning."""
    token_ids = base.tokenize(texts).to(base.device)
    if text_encoder_trains:
        return EncodedPrompts(token_ids, None)
    with on_device(base, base.text_encoders):
        return EncodedPrompts(token_ids, base.encode_tokens(token_ids))


def _latent_mask(photo: Photo, like: Tensor) -> Tensor | None:
    """A photo's mask [1, 1, h, w] at the latents' size, by area averaging; None without one."""
    if photo.mask is None:
        return None
    return F.interpolate(photo.mask[None, None], size=like.shape[-2:], mode="area").to(like.device)


Encoded = tuple[EncodedPrompts, EncodedImages, EncodedImages | None]
"""Prompts, instance images, and class images or None."""


def broadcast_encoding(encoded: Encoded | None, processes: Processes, device: torch.device) -> Encoded:
    """The first process's encoding in all processes, on `device`. encoded: None in the other processes."""
    if encoded is not None and not processes.several:
        return encoded
    tensors = processes.share(None if encoded is None else _tensors(encoded))
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    prompts = EncodedPrompts(tensors["token_ids"], _part(tensors, "conditioning.") or None)
    prior = _images(_part(tensors, "prior."))
    instance = _images(_part(tensors, "instance."))
    assert instance is not None
    return prompts, instance, prior


def _tensors(encoded: Encoded) -> dict[str, Tensor]:
    """The encoding as {name: tensor}, to be sent."""
    prompts, instance, prior = encoded
    named = {"token_ids": prompts.token_ids, **_prefixed("conditioning.", prompts.conditioning or {})}
    for stream, images in (("instance.", instance), ("prior.", prior)):
        if images is not None:
            own = {"mean": images.posterior.mean, "std": images.posterior.std, "prompts": torch.tensor(images.prompts)}
            masks = {} if images.masks is None else {"masks": images.masks}
            named |= _prefixed(stream, {**own, **masks, **_prefixed("frames.", images.frames)})
    return named


def _images(tensors: Mapping[str, Tensor]) -> EncodedImages | None:
    """Encoded images from their named tensors; None without any."""
    if not tensors:
        return None
    posterior = Posterior(tensors["mean"], tensors["std"])
    prompts = tuple(int(row) for row in tensors["prompts"])
    return EncodedImages(posterior, tensors.get("masks"), prompts, _part(tensors, "frames."))


def _prefixed(prefix: str, tensors: Conditioning) -> dict[str, Tensor]:
    """The tensors with a prefix before their names."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names have a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

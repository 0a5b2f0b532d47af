"""Encoded images and prompts, computed once before training: VAE posteriors, and the conditioning of frozen text
encoders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import randomness
from ..events import Stop, StoppedEarly, never
from ..model.base import Base, Conditioning, Model
from ..model.offload import on_device
from ..subject.photos import Photo
from .prompt_variants import PromptVariants


@dataclass(frozen=True)
class EncodedImages:
    """N encoded images on the training device, which may differ in size.

    mean, std: of each image's posterior [C, h, w]; latents are sampled from it anew in each batch. masks: of each image
    [1, h, w] in 0..1, or None. prompts: the row of each image's prompt in the `EncodedPrompts`. frames: the
    conditioning on image sizes and crops, N rows; empty in most families. variants: the prompts that the images are
    shown under in turn, where these are several; None: `prompts`. mirrored: the images as they are shown half of the
    time, mirrored where that is allowed, in the same rows; None: they are never mirrored. classes: the number of each
    image's class; empty: all are of one. pictures: of each image the small picture [3, h, w] in −1..1 that an upscaler
    is shown; None in other models.
    """

    mean: Sequence[Tensor]
    std: Sequence[Tensor]
    masks: Sequence[Tensor] | None
    prompts: tuple[int, ...]
    frames: Conditioning = field(default_factory=dict)
    variants: PromptVariants | None = None
    mirrored: EncodedImages | None = None
    classes: tuple[int, ...] = ()
    pictures: Sequence[Tensor] | None = None

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def _rows(self) -> dict[tuple[int, torch.Size | None], list[int]]:
        """{(class, latents' size or None for any): the rows of these images}."""
        rows: dict[tuple[int, torch.Size | None], list[int]] = {}
        for row, mean in enumerate(self.mean):
            for shape in (mean.shape, None):
                rows.setdefault((self.class_of(row), shape), []).append(row)
        return rows

    def class_of(self, row: int) -> int:
        """The number of an image's class."""
        return self.classes[row] if self.classes else 0

    def rows_of(self, number: int, shape: torch.Size | None = None) -> Sequence[int]:
        """The rows of the images of a class whose latents [C, h, w] have this size, or any, in order."""
        return self._rows.get((number, shape), [])

    def prompts_of(self, rows: Sequence[int], seed: int, samples: Sequence[int]) -> tuple[int, ...]:
        """The prompt of each of these images; where they have several, drawn by the samples' indices."""
        if self.variants is not None:
            return self.variants.drawn(seed, samples, rows)
        return tuple(self.prompts[row] for row in rows)

    def flips_of(self, seed: int, samples: Sequence[int]) -> list[bool]:
        """Which of these samples are shown mirrored, drawn by their indices; empty where no image ever is."""
        if self.mirrored is None:
            return []
        return [u < 0.5 for u in randomness.uniform(seed, "instance.flip", samples).tolist()]

    def with_prompts(self, prompts: Sequence[Sequence[int]]) -> EncodedImages:
        """Each image once with each of its prompts, whose rows `prompts` holds by image; the images are not copied."""
        pairs = [(image, row) for image, rows in enumerate(prompts) for row in rows]
        images = self.at([image for image, _ in pairs])
        mirrored = None if self.mirrored is None else self.mirrored.with_prompts(prompts)
        return replace(images, prompts=tuple(row for _, row in pairs), mirrored=mirrored)

    def at(self, rows: Sequence[int], mirrored: Sequence[bool] = ()) -> EncodedImages:
        """The images in these rows; their tensors are not copied. mirrored: which of them are taken as mirrored; empty:
        none.
        """
        flips = mirrored or [False] * len(rows)
        taken = [(self.mirrored or self if flip else self, row) for row, flip in zip(rows, flips, strict=True)]
        return EncodedImages(
            [of.mean[row] for of, row in taken],
            [of.std[row] for of, row in taken],
            None if self.masks is None else [of.masks[row] for of, row in taken if of.masks is not None],
            tuple(of.prompts[row] for of, row in taken),
            {name: torch.stack([of.frames[name][row] for of, row in taken]) for name in self.frames},
            None if self.variants is None else self.variants.of(rows),
            classes=tuple(self.class_of(row) for row in rows) if self.classes else (),
            pictures=None if self.pictures is None else [of.pictures[row] for of, row in taken if of.pictures],
        )

    def to(self, device: torch.device) -> EncodedImages:
        """These encoded images with their tensors on `device`."""
        mean, std = ([tensor.to(device) for tensor in tensors] for tensors in (self.mean, self.std))
        masks = None if self.masks is None else [mask.to(device) for mask in self.masks]
        pictures = None if self.pictures is None else [picture.to(device) for picture in self.pictures]
        mirrored = None if self.mirrored is None else self.mirrored.to(device)
        frames = _moved(self.frames, device)
        return replace(self, mean=mean, std=std, masks=masks, frames=frames, mirrored=mirrored, pictures=pictures)

    def under(self, prompts: Sequence[int]) -> EncodedImages:
        """These images under the prompt of their class, without masks, and never mirrored. prompts: a row by class."""
        own = tuple(prompts[self.class_of(row)] for row in range(len(self)))
        return replace(self, masks=None, prompts=own, variants=None, mirrored=None)


@dataclass(frozen=True)
class EncodedPrompts:
    """The P distinct prompts of a run: P rows of conditioning or, while a text encoder is trained, of token ids
    [P, L].
    """

    token_ids: Tensor | None
    conditioning: Conditioning | None

    def to(self, device: torch.device) -> EncodedPrompts:
        """These encoded prompts with their tensors on `device`."""
        cached = None if self.conditioning is None else _moved(self.conditioning, device)
        token_ids = None if self.token_ids is None else self.token_ids.to(device)
        return EncodedPrompts(token_ids, cached)

    def rows(self, base: Model, rows: Sequence[int]) -> Conditioning:
        """The conditioning of these prompts, from the cache or computed by the text encoders in training."""
        if self.conditioning is not None:
            return {name: take_rows(tensor, rows) for name, tensor in self.conditioning.items()}
        assert self.token_ids is not None and isinstance(base, Base)
        distinct = sorted(set(rows))
        fresh = base.encode_tokens(take_rows(self.token_ids, distinct))
        places = [distinct.index(row) for row in rows]
        return {name: take_rows(tensor, places) for name, tensor in fresh.items()}


def take_rows(tensor: Tensor | Sequence[Tensor], rows: Iterable[int]) -> Tensor:
    """These rows of a tensor or a list, stacked. Indexing by a list would copy it to the device and wait for it."""
    return torch.stack([tensor[row] for row in rows])


@torch.no_grad()
def encode_images(base: Model, photos: Iterable[Photo], prompts: Sequence[int], stop: Stop = never) -> EncodedImages:
    """The encoded photos, computed one at a time, with masks reduced to the latents' size. prompts: each photo's prompt
    row.

    Raises StoppedEarly where `stop` returns True between two photos.
    """
    means, stds, masks, frames, pictures = [], [], [], [], []
    with on_device(base, ["vae"]):
        for photo in photos:
            if stop():
                raise StoppedEarly("The run was stopped while its pictures were encoded; no step was trained.")
            posterior = base.encode_images(photo.pixels.unsqueeze(0).to(base.device))
            means.append(posterior.mean[0])
            stds.append(posterior.std[0])
            masks.append(_latent_mask(photo, posterior.mean[0]))
            frames.append(photo.crop_frame)
            if base.small_picture is not None:
                pictures.append(base.small_picture.of(photo.pixels.unsqueeze(0))[0].to(base.device))
    masked = any(mask is not None for mask in masks)
    filled = [torch.ones_like(m[:1]) if mask is None else mask for mask, m in zip(masks, means, strict=True)]
    framed = base.frame_conditioning(frames)
    return EncodedImages(means, stds, filled if masked else None, tuple(prompts), framed, pictures=pictures or None)


@torch.no_grad()
def encode_prompts(base: Model, texts: Sequence[str], text_encoder_trains: bool) -> EncodedPrompts:
    """The conditioning of the prompts, or their token ids while a text encoder of a `Base` is trained."""
    if text_encoder_trains:
        assert isinstance(base, Base)
        return EncodedPrompts(base.tokenize(texts).to(base.device), None)
    with on_device(base, base.text_encoders):
        return EncodedPrompts(None, base.encode_prompts(texts))


def _latent_mask(photo: Photo, like: Tensor) -> Tensor | None:
    """A photo's mask [1, h, w] at the latents' size, by area averaging; None without one."""
    if photo.mask is None:
        return None
    return F.interpolate(photo.mask[None, None], size=like.shape[-2:], mode="area")[0].to(like.device)


Encoded = tuple[EncodedPrompts, EncodedImages, EncodedImages | None]
"""Prompts, instance images, and class images or None."""


def moved(encoded: Encoded, device: torch.device) -> Encoded:
    """An encoding on another device."""
    prompts, instance, prior = encoded
    return prompts.to(device), instance.to(device), None if prior is None else prior.to(device)


def _moved(conditioning: Conditioning, device: torch.device) -> Conditioning:
    """A conditioning on another device."""
    return {name: tensor.to(device) for name, tensor in conditioning.items()}

"""The batches that a predictor learns from where there are photos of many subjects: one photo of a subject, and
another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import randomness
from ..model.base import Base
from ..model.noise_process import NoiseProcess
from ..prompts import IDENTIFIER_MARK
from ..subject.photos import Photo
from ..training.encoded import EncodedImages, encode_images, take_rows
from .augmentation import at_side, augmented
from .objective import SubjectPairs


@dataclass(frozen=True)
class SubjectPhotos:
    """The photos of one subject, all of one size, and its class noun."""

    photos: tuple[Photo, ...]
    class_noun: str


@dataclass
class PhotoPairs:
    """`trainer.training.step.Source` of `SubjectPairs`: a function of photos, seed and the step's index.

    Of a subject with one photo that is both what is seen and what is denoised. images: all photos, encoded. seen: as
    the concept encoder sees them, [N, 4, S, S]: RGB in -1..1 and the mask. of: the subject of each photo.
    """

    images: EncodedImages
    seen: Tensor
    of: Sequence[int]
    prompts: Sequence[str]
    nouns: Sequence[str]
    noise_process: NoiseProcess
    seed: int
    batch_size: int
    accumulation: int = 1

    def __post_init__(self) -> None:
        self._photos: dict[int, list[int]] = {}
        for row, subject in enumerate(self.of):
            self._photos.setdefault(subject, []).append(row)

    def __getitem__(self, index: int) -> Sequence[SubjectPairs]:
        """The batches of a step."""
        first = index * self.accumulation
        return [self._batch(first + part) for part in range(self.accumulation)]

    def _batch(self, index: int) -> SubjectPairs:
        samples = range(index * self.batch_size, (index + 1) * self.batch_size)
        pairs = [self._pair(sample) for sample in samples]
        targets = [target for _, target in pairs]
        images, generator = self.images.at(targets), randomness.generator(self.seed, "predictor.augmentation", index)
        mean, std = take_rows(images.mean, range(len(pairs))), take_rows(images.std, range(len(pairs)))
        drawn = [
            randomness.normal(self.seed, f"predictor.{name}", samples, mean.shape[1:]).to(mean.device)
            for name in ("posterior", "noise")
        ]
        uniform = randomness.uniform(self.seed, "predictor.timestep", samples)
        seen = self.seen[[photo for photo, _ in pairs]]
        return SubjectPairs(
            photos=augmented(seen[:, :3], seen[:, 3:], generator)[:, None].to(mean.device),
            x=mean + std * drawn[0],
            noise=drawn[1],
            timesteps=self.noise_process.draw_timesteps(uniform, mean.shape[1:]).to(mean.device),
            prompts=[self.prompts[target] for target in targets],
            nouns=[self.nouns[target] for target in targets],
            frames=images.frames,
        )

    def _pair(self, sample: int) -> tuple[int, int]:
        """The photo that is seen and the one that is denoised: every epoch is a new permutation of the subjects."""
        rows = self._photos[randomness.order(self.seed, "predictor.subjects", len(self._photos), sample)]
        generator = randomness.generator(self.seed, "predictor.photos", sample)
        chosen = torch.randperm(len(rows), generator=generator).tolist()
        return rows[chosen[0]], rows[chosen[-1]]


def photo_pairs(base: Base, subjects: Sequence[SubjectPhotos], side: int, seed: int, batch_size: int) -> PhotoPairs:
    """The pairs of these subjects, their photos encoded on the base's device. side: of the concept encoder, in pixels.

    A caption says [V] in the place of the class noun; without one the prompt is "a [V]".
    """
    photos = [(photo, number) for number, one in enumerate(subjects) for photo in one.photos]
    nouns = [subjects[number].class_noun for _, number in photos]
    return PhotoPairs(
        images=encode_images(base, [photo for photo, _ in photos], [0] * len(photos)),
        seen=torch.stack([_seen(photo, side) for photo, _ in photos]),
        of=[number for _, number in photos],
        prompts=[prompt_of(photo.caption, noun) for (photo, _), noun in zip(photos, nouns, strict=True)],
        nouns=nouns,
        noise_process=base.noise_process,
        seed=seed,
        batch_size=batch_size,
    )


def prompt_of(caption: str | None, noun: str) -> str:
    """The prompt of a photo, with [V] for its subject."""
    if not caption:
        return f"a {IDENTIFIER_MARK}"
    named = re.compile(rf"(?<!\w){re.escape(noun)}(?!\w)", re.IGNORECASE)
    said = caption if IDENTIFIER_MARK in caption else named.sub(lambda _: IDENTIFIER_MARK, caption, count=1)
    return said if IDENTIFIER_MARK in said else f"a {IDENTIFIER_MARK}, {said}"


def _seen(photo: Photo, side: int) -> Tensor:
    """RGB in -1..1 and the mask of a photo, [4, side, side]; the mask is 1 where it has none."""
    mask = torch.ones_like(photo.pixels[0]) if photo.mask is None else photo.mask
    return at_side(torch.cat([photo.pixels * 2 - 1, mask[None]]), side)

"""The batches that a predictor of the embedded base learns from: a photo of a subject, and it elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from ..trainer import randomness
from ..trainer.instantbooth.augmentation import augmented, shaded
from ..trainer.instantbooth.objective import SubjectPairs
from .narrow_vae import SCALING
from .subject_scenes import PHOTOS, PICTURES, SubjectChunk, SubjectScenes

FIRST_CHUNKS, MOST_CHUNKS, STEPS_OF_CHUNK = 4, 60, 16
"""Chunks at the first step, chunks in use later on, and the steps after which a new one comes in."""
TWO_PHOTOS = 4
"""Every so many steps subjects are seen in two photos; else in one."""


@dataclass
class ScenePairs:
    """`trainer.training.step.Source` of `SubjectPairs`: a function of the scenes, the seed and the step's index.

    sizes: of the pictures that are denoised, in pixels, step by step.
    """

    scenes: SubjectScenes
    seed: int
    sizes: Sequence[int]
    batch_size: int
    accumulation: int = 1
    timesteps: int = 1000
    _chunks: dict[int, SubjectChunk] = field(default_factory=dict)

    def __getitem__(self, index: int) -> Sequence[SubjectPairs]:
        """The batches of a step."""
        first = index * self.accumulation
        return [self._batch(first + part, self.window(index)) for part in range(self.accumulation)]

    def window(self, index: int) -> list[SubjectChunk]:
        """The chunks that a step takes its subjects from; older ones are forgotten."""
        newest = index // STEPS_OF_CHUNK + FIRST_CHUNKS
        wanted = range(max(0, newest - MOST_CHUNKS), newest)
        self._chunks = {n: self._chunks[n] if n in self._chunks else self.scenes.chunk(n) for n in wanted}
        return list(self._chunks.values())

    def photos(self, number: int, step: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """`count` photos for a step: [B, 3, 128, 128] in -1..1, their masks [B, 1, 128, 128] in 0..1, and the photos
        augmented without being masked or moved.
        """
        chunks, generator = self.window(step), randomness.generator(self.seed, "photos", number)
        rows = [_pair(chunks, 1, generator)[:3] for _ in range(count)]
        pictures = torch.cat([chunk.pictures[subject, seen] for chunk, subject, seen in rows]).float() / 127.5 - 1
        masks = torch.cat([chunk.masks[subject, seen] for chunk, subject, seen in rows])[:, None].float() / 255
        return pictures, masks, shaded(pictures, generator)

    def _batch(self, index: int, chunks: Sequence[SubjectChunk]) -> SubjectPairs:
        generator, count = randomness.generator(self.seed, "pairs", index), self.batch_size
        shown = 2 if index % TWO_PHOTOS == TWO_PHOTOS - 2 else 1
        size = self.sizes[index % len(self.sizes)]
        rows = [_pair(chunks, shown, generator) for _ in range(count)]
        photos = torch.cat([chunk.pictures[subject, seen] for chunk, subject, seen, _ in rows])
        masks = torch.cat([chunk.masks[subject, seen] for chunk, subject, seen, _ in rows])[:, None]
        seen = augmented(photos.float() / 127.5 - 1, masks.float() / 255, generator)
        mean, log_variance = (
            torch.stack([chunk.moments[size][subject, target] for chunk, subject, _, target in rows])
            .float()
            .chunk(2, 1)
        )
        x = (mean + torch.randn(mean.shape, generator=generator) * (log_variance / 2).exp()) * SCALING
        # stratified: every batch covers the whole schedule
        spread = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        return SubjectPairs(
            photos=seen.unflatten(0, (count, shown)),
            x=x,
            noise=torch.randn(x.shape, generator=generator),
            timesteps=(spread * self.timesteps).long(),
            prompts=[chunk.prompts[subject][target] for chunk, subject, _, target in rows],
            nouns=[chunk.nouns[subject] for chunk, subject, _, _ in rows],
            frames={},
        )


def _pair(chunks: Sequence[SubjectChunk], shown: int, generator: Generator) -> tuple[SubjectChunk, int, Tensor, int]:
    """(chunk, subject, the rows of its photos, the row of another picture of it)."""
    chunk = chunks[int(torch.randint(len(chunks), (1,), generator=generator))]
    subject = int(torch.randint(len(chunk.nouns), (1,), generator=generator))
    seen = torch.randperm(PHOTOS, generator=generator)[:shown]
    others = [row for row in range(PICTURES) if row not in seen.tolist()]
    return chunk, subject, seen, others[int(torch.randint(len(others), (1,), generator=generator))]

"""The images, noise and timesteps of each step: a pure function of (seed, batch index)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .. import randomness
from ..model.base import Conditioning
from ..model.noise_process import NoiseProcess
from .encoded import EncodedImages
from .loss import Examples
from .noise import Noise
from .noisy_pictures import NoisyPictures


@dataclass(frozen=True)
class Batch:
    """The input of one forward pass: instance and prior examples of one size, and the prompt row and frame conditioning
    of every image, instance images first. None for a term without images of this size.
    """

    instance: Examples | None
    prior: Examples | None
    prompts: tuple[int, ...]
    frames: Conditioning

    @property
    def halves(self) -> list[Examples]:
        """The instance and the prior examples that there are."""
        return [half for half in (self.instance, self.prior) if half is not None]


@dataclass(frozen=True)
class Batches:
    """The forward passes of each step, by the step's index. Noise and timesteps are independent for each image.

    batch_size: of each of `world_size` processes; together they take the same examples as one process with the sum of
    their batch sizes. accumulation: batches of a step. rank: of this process. noise: the distribution of ε. pictures:
    how an upscaler's small pictures are shown; None in other models.
    """

    instance: EncodedImages
    prior: EncodedImages | None
    noise_process: NoiseProcess
    seed: int
    batch_size: int
    accumulation: int = 1
    rank: int = 0
    world_size: int = 1
    noise: Noise = field(default_factory=Noise)
    pictures: NoisyPictures | None = None

    def __getitem__(self, index: int) -> tuple[Batch, ...]:
        """The forward passes of the step of this index, 0 or more; each has images of one size."""
        batches = range(index * self.accumulation, (index + 1) * self.accumulation)
        return tuple(forward for batch in batches for forward in self._forwards(batch))

    def _forwards(self, batch: int) -> Iterator[Batch]:
        """The forward passes of one batch: one for each image size in it."""
        first = (batch * self.world_size + self.rank) * self.batch_size
        samples = range(first, first + self.batch_size)
        chosen = [(sample, self._instance_row(sample)) for sample in samples]
        instance, prior = self._by_size("instance", self.instance, chosen), {}
        if self.prior is not None:
            prior = self._by_size("prior", self.prior, [(s, self._prior_row(s, self.prior, row)) for s, row in chosen])
        for size in dict.fromkeys((*instance, *prior)):
            yield _together(instance.get(size), prior.get(size))

    def _instance_row(self, sample: int) -> int:
        """The row of the instance image of this sample: every epoch is a new permutation of all."""
        return randomness.order(self.seed, "instance.order", len(self.instance), sample)

    def _prior_row(self, sample: int, prior: EncodedImages, instance_row: int) -> int:
        """The row of the prior image of this sample: of the instance image's class, and of its size where there are
        such, so that both go through one forward.
        """
        own = self.instance.class_of(instance_row)
        rows = prior.rows_of(own, self.instance.mean[instance_row].shape) or prior.rows_of(own)
        return rows[randomness.order(self.seed, "prior.order", len(rows), sample)]

    def _by_size(
        self, stream: str, images: EncodedImages, chosen: Sequence[tuple[int, int]]
    ) -> dict[torch.Size, Batch]:
        """{latents' size: the instance or prior examples of that size}. stream: "instance" or "prior". chosen: the
        samples' indices and rows.
        """
        rows: dict[torch.Size, list[tuple[int, int]]] = {}
        for sample, row in chosen:
            rows.setdefault(images.mean[row].shape, []).append((sample, row))
        return {size: self._half(stream, images, *zip(*pairs, strict=True)) for size, pairs in rows.items()}

    def _half(self, stream: str, images: EncodedImages, samples: Sequence[int], rows: Sequence[int]) -> Batch:
        """The instance or prior examples of one size. samples: their indices, on which the noise depends."""
        prompts = images.prompts_of(rows, self.seed, samples)
        images = images.at(rows, images.flips_of(self.seed, samples))
        mean, std = torch.stack(list(images.mean)), torch.stack(list(images.std))
        posterior = randomness.normal(self.seed, f"{stream}.posterior", samples, mean.shape[1:])
        x = mean + std * _to_device(posterior, mean.device)
        noise = _to_device(self.noise.drawn(self.seed, f"{stream}.noise", samples, mean.shape[1:]), mean.device)
        uniform = randomness.uniform(self.seed, f"{stream}.timestep", samples)
        timesteps = self.noise_process.draw_timesteps(uniform, mean.shape[1:]).to(mean.device, non_blocking=True)
        mask = None if images.masks is None else torch.stack(list(images.masks))
        examples = Examples(x, noise, timesteps, mask, share=len(rows) / (self.batch_size * self.accumulation))
        of_photos = stream == "instance"
        told = images.frames | self._pictures(stream, images, samples)
        return Batch(examples if of_photos else None, None if of_photos else examples, prompts, told)

    def _pictures(self, stream: str, images: EncodedImages, samples: Sequence[int]) -> Conditioning:
        """The small pictures of the images, with noise; empty where the model is shown none."""
        if self.pictures is None or images.pictures is None:
            return {}
        return self.pictures.drawn(torch.stack(list(images.pictures)), self.seed, stream, samples)


def _together(instance: Batch | None, prior: Batch | None) -> Batch:
    """One forward pass of instance and prior examples; at least one is there."""
    if instance is None or prior is None:
        only = instance or prior
        assert only is not None
        return only
    frames = {name: torch.cat([rows, prior.frames[name]]) for name, rows in instance.frames.items()}
    return Batch(instance.instance, prior.prior, instance.prompts + prior.prompts, frames)


def _to_device(drawn: Tensor, device: torch.device) -> Tensor:
    """A random tensor, drawn on the CPU, copied to `device` asynchronously."""
    pinned = drawn.pin_memory() if device.type == "cuda" else drawn
    return pinned.to(device, non_blocking=True)

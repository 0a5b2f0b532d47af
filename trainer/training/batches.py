"""The images, noise and timesteps of each batch: a pure function of (seed, batch index)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .. import randomness
from ..model.base import Conditioning
from ..model.noise_process import NoiseProcess
from .encoded import EncodedImages, take_rows
from .loss import Examples


@dataclass(frozen=True)
class Batch:
    """The input of one forward pass: instance and prior examples, and the prompt row and frame conditioning of every
    image, instance images first.
    """

    instance: Examples
    prior: Examples | None
    prompts: tuple[int, ...]
    frames: Conditioning


@dataclass(frozen=True)
class Batches:
    """All batches of a run, by index. Noise and timesteps are independent for each instance and prior image.

    batch_size: of each of `world_size` processes; together they take the same examples as one process with the sum of
    their batch sizes. rank: of this process.
    """

    instance: EncodedImages
    prior: EncodedImages | None
    noise_process: NoiseProcess
    seed: int
    batch_size: int
    rank: int = 0
    world_size: int = 1

    def __getitem__(self, index: int) -> Batch:
        """The batch of this index, 0 or more."""
        instance, prompts, frames = self._half("instance", self.instance, index)
        if self.prior is None:
            return Batch(instance, None, prompts, frames)
        prior, prior_prompts, prior_frames = self._half("prior", self.prior, index)
        both = {name: torch.cat([rows, prior_frames[name]]) for name, rows in frames.items()}
        return Batch(instance, prior, prompts + prior_prompts, both)

    def _half(self, stream: str, images: EncodedImages, index: int) -> tuple[Examples, tuple[int, ...], Conditioning]:
        """The instance or prior examples of a batch, their prompt rows and their frame conditioning. stream: "instance"
        or "prior".
        """
        first = (index * self.world_size + self.rank) * self.batch_size
        samples = range(first, first + self.batch_size)
        rows = [randomness.order(self.seed, f"{stream}.order", len(images), i) for i in samples]
        mean, std = take_rows(images.posterior.mean, rows), take_rows(images.posterior.std, rows)
        x = mean + std * self._normal(f"{stream}.posterior", samples, mean)
        noise = self._normal(f"{stream}.noise", samples, mean)
        uniform = randomness.uniform(self.seed, f"{stream}.timestep", samples)
        timesteps = self.noise_process.draw_timesteps(uniform).to(mean.device, non_blocking=True)
        mask = None if images.masks is None else take_rows(images.masks, rows)
        frames = {name: take_rows(told, rows) for name, told in images.frames.items()}
        return Examples(x, noise, timesteps, mask), tuple(images.prompts[row] for row in rows), frames

    def _normal(self, stream: str, samples: range, like: Tensor) -> Tensor:
        """Noise in the shape and on the device of `like`, by the samples' indices."""
        drawn = randomness.normal(self.seed, stream, samples, like.shape[1:])
        return _moved(drawn, like.device)


def _moved(drawn: Tensor, device: torch.device) -> Tensor:
    """A random tensor on `device`, copied without waiting for it."""
    pinned = drawn.pin_memory() if device.type == "cuda" else drawn
    return pinned.to(device, non_blocking=True)

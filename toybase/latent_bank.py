"""Latents of the world's scenes with their token ids: some fresh in each batch, the rest seen lately."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers import AutoencoderKL
from torch import Generator, Tensor

from ..trainer.model.precision import fastest_autocast
from .narrow_vae import SCALING
from .text_encoder import DISTINCT, short_ids
from .world import World


class LatentBank:
    """A ring of encoded scenes; `batch` first renders and encodes new ones, then mixes in remembered ones.

    worlds: the share of scenes from each, which add up to 1; all on one device.
    """

    def __init__(
        self, worlds: Mapping[World, float], vae: AutoencoderKL, size: int, seed: int, capacity: int = 60_000
    ) -> None:
        self.worlds, self.vae, self.size = worlds, vae, size
        self.generator = Generator().manual_seed(seed)
        self.device = next(iter(worlds)).device
        side = size // 8
        self.moments = torch.zeros(capacity, 8, side, side, dtype=torch.float16, device=self.device)
        self.ids = torch.zeros(capacity, DISTINCT + 1, dtype=torch.long, device=self.device)
        self.filled, self.next = 0, 0

    def batch(self, count: int, fresh: int) -> tuple[Tensor, Tensor]:
        """(latents [count, 4, S / 8, S / 8] of unit variance, drawn from the posterior; ids [count, 17])."""
        chunk = 8 * fresh
        if self.next % chunk == 0 or not self.filled:
            self._pending = self._encode(chunk)
        start = self.next % chunk
        new = slice(start, start + fresh)
        rows = torch.arange(self.next, self.next + fresh) % len(self.ids)
        old = torch.randint(min(len(self.ids), self.next + fresh), (count - fresh,), generator=self.generator)
        every = torch.cat([rows, old]).to(self.device, non_blocking=True)
        self.moments[every[:fresh]], self.ids[every[:fresh]] = self._pending[0][new], self._pending[1][new]
        self.next += fresh
        self.filled = min(len(self.ids), self.next)
        mean, log_variance = self.moments[every].float().chunk(2, 1)
        latents = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return latents * SCALING, self.ids[every]

    @torch.no_grad()
    def _encode(self, count: int) -> tuple[Tensor, Tensor]:
        counts = [int(share * count) for share in self.worlds.values()]
        counts[0] += count - sum(counts)
        parts = [self._scenes(world, some) for world, some in zip(self.worlds, counts, strict=True)]
        pictures, captions = torch.cat([p for p, _ in parts]), [c for _, some in parts for c in some]
        with fastest_autocast(self.device):
            moments = torch.cat([self.vae.quant_conv(self.vae.encoder(p)) for p in pictures.split(128)])
        order = torch.randperm(len(captions), generator=self.generator)
        ids = torch.tensor([short_ids(captions[row]) for row in order.tolist()])
        return moments[order.to(self.device)].half().clamp(-60, 60), ids.to(self.device)

    def _scenes(self, world: World, count: int) -> tuple[Tensor, list[str]]:
        scenes = world.draw_scenes(self.generator, count)
        pictures = world.render(scenes, self.size).to(memory_format=torch.channels_last)
        return pictures, world.captions(scenes)

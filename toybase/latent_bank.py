"""Latents of the world's scenes with their token ids: some fresh in each batch, the rest seen lately."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import Generator, Tensor

from ..trainer.precision import fastest_autocast
from .narrow_vae import SCALING
from .text_encoder import DISTINCT, short_ids
from .world import World


class LatentBank:
    """A ring of encoded scenes; `batch` first renders and encodes new ones, then mixes in remembered ones."""

    def __init__(self, world: World, vae: AutoencoderKL, size: int, seed: int, capacity: int = 60_000) -> None:
        self.world, self.vae, self.size = world, vae, size
        self.generator = Generator().manual_seed(seed)
        side = size // 8
        self.moments = torch.zeros(capacity, 8, side, side, dtype=torch.float16, device=world.device)
        self.ids = torch.zeros(capacity, DISTINCT + 1, dtype=torch.long, device=world.device)
        self.filled, self.next = 0, 0

    def batch(self, count: int, fresh: int) -> tuple[Tensor, Tensor]:
        """(latents [count, 4, S / 8, S / 8] of unit variance, drawn from the posterior; ids [count, 17])."""
        chunk = 8 * fresh
        if self.next % chunk == 0 or not self.filled:
            self._pending = self._encode(chunk)
        start = self.next % chunk
        new = slice(start, start + fresh)
        rows = torch.arange(self.next, self.next + fresh) % len(self.ids)
        self.moments[rows], self.ids[rows] = self._pending[0][new], self._pending[1][new]
        self.next += fresh
        self.filled = min(len(self.ids), self.next)
        old = torch.randint(self.filled, (count - fresh,), generator=self.generator)
        rows = torch.cat([rows, old])
        mean, log_variance = self.moments[rows].float().chunk(2, 1)
        latents = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return latents * SCALING, self.ids[rows]

    @torch.no_grad()
    def _encode(self, count: int) -> tuple[Tensor, Tensor]:
        scenes = self.world.draw_scenes(self.generator, count)
        pictures = self.world.render(scenes, self.size).to(memory_format=torch.channels_last)
        with fastest_autocast(self.world.device):
            moments = torch.cat([self.vae.quant_conv(self.vae.encoder(p)) for p in pictures.split(128)])
        ids = torch.tensor([short_ids(caption) for caption in self.world.captions(scenes)])
        return moments.half().clamp(-60, 60), ids.to(self.world.device)

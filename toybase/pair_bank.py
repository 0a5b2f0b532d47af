"""Pairs for the upscaler: a scene's latents, the same scene four times smaller, and its caption's token ids."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers import AutoencoderKL
from torch import Generator, Tensor

from ..trainer.model.precision import fastest_autocast
from ..trainer.model.small_picture import SmallPicture
from .narrow_vae import UPSCALER as VAE
from .text_encoder import DISTINCT, UPSCALER, short_ids
from .world import World

SIZE, CHUNK = 128, 64
"""Pixels a side of the large pictures; scenes that are rendered at once."""


class PairBank:
    """A ring of pairs; new ones replace the oldest while batches are drawn from all of it.

    worlds: the share of scenes from each, which add up to 1; all on one device. new: the share of a batch by which the
    ring is renewed.
    """

    def __init__(
        self,
        worlds: Mapping[World, float],
        vae: AutoencoderKL,
        small: SmallPicture,
        seed: int,
        capacity: int = 12_800,
        new: float = 0.25,
    ) -> None:
        self.worlds, self.vae, self.small, self.new = worlds, vae, small, new
        self.generator = Generator().manual_seed(seed)
        device, side = next(iter(worlds)).device, SIZE // VAE.factor
        self.moments = torch.zeros(capacity, 8, side, side, dtype=torch.float16, device=device)
        self.pictures = torch.zeros(capacity, 3, side, side, dtype=torch.float16, device=device)
        self.ids = torch.zeros(capacity, DISTINCT + 1, dtype=torch.long, device=device)
        self.added, self.owed = 0, 0.0

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """(latents [count, 4, 32, 32] of unit variance, drawn from the posterior; small pictures [count, 3, 32, 32] in
        -1 to 1; ids [count, 17]).
        """
        self.owed += self.new * count
        while self.owed > 0:
            self._add()
        filled = min(self.added, len(self.ids))
        rows = torch.randint(filled, (count,), generator=self.generator).to(self.ids.device)
        mean, log_variance = self.moments[rows].float().chunk(2, 1)
        latents = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return latents * VAE.scaling, self.pictures[rows].float(), self.ids[rows]

    @torch.no_grad()
    def _add(self) -> None:
        """Render and encode CHUNK new scenes."""
        counts = [round(share * CHUNK) for share in self.worlds.values()]
        counts[0] += CHUNK - sum(counts)
        scenes = [world.draw_scenes(self.generator, some) for world, some in zip(self.worlds, counts, strict=True)]
        parts = list(zip(self.worlds, scenes, strict=True))
        pictures = torch.cat([world.render(some, SIZE) for world, some in parts])
        captions = [caption for world, some in parts for caption in world.captions(some)]
        with fastest_autocast(pictures.device):
            moments = self.vae.quant_conv(self.vae.encoder(pictures.to(memory_format=torch.channels_last)))
        rows = (torch.arange(CHUNK) + self.added) % len(self.ids)
        self.moments[rows] = moments.half()
        self.pictures[rows] = self.small.of(pictures / 2 + 0.5).half()
        self.ids[rows] = torch.tensor([short_ids(caption, UPSCALER) for caption in captions], device=self.ids.device)
        self.added, self.owed = self.added + CHUNK, self.owed - CHUNK

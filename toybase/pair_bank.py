"""Pairs for the upscaler and its VAE: a scene's latents, the scene itself, the same four times smaller, and the token
ids of its caption.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers import AutoencoderKL
from torch import Generator, Tensor

from ..trainer.model.precision import fastest_autocast
from ..trainer.model.small_picture import SmallPicture
from .icons import Icons
from .narrow_vae import UPSCALER as VAE
from .narrow_vae import moments_at_twice_the_size
from .stored_vae import stored_vae
from .text_encoder import DISTINCT, UPSCALER, short_ids
from .world import World

SIZE, CHUNK = 128, 64
"""Pixels a side of the large pictures; scenes that are rendered at once."""
OTHER_ICONS = 0.15
"""Share of scenes with drawings that have no noun."""


def worlds_of(icons: Icons, device: torch.device) -> dict[World, float]:
    """What the upscaler is shown: no drawing of a held-out subject."""
    return {
        World.of_training(icons.world, device): 1 - OTHER_ICONS,
        World.of_things(icons.others, device): OTHER_ICONS,
    }


def stored_base_vae(device: torch.device) -> AutoencoderKL:
    """The base's VAE, which gives the latents."""
    return stored_vae().to(device, memory_format=torch.channels_last)


class PairBank:
    """A ring of pairs; new ones replace the oldest while batches are drawn from all of it.

    worlds: the share of scenes from each, which add up to 1; all on one device. vae: the base's. new: the share of a
    batch by which the ring is renewed.
    """

    def __init__(
        self,
        worlds: Mapping[World, float],
        vae: AutoencoderKL,
        small: SmallPicture,
        seed: int,
        capacity: int,
        new: float = 0.125,
    ) -> None:
        self.worlds, self.vae, self.small, self.new = worlds, vae, small, new
        self.generator = Generator().manual_seed(seed)
        device, side = next(iter(worlds)).device, SIZE // VAE.factor
        self.moments = torch.zeros(capacity, 8, side, side, dtype=torch.float16, device=device)
        self.large = torch.zeros(capacity, 3, SIZE, SIZE, dtype=torch.uint8, device=device)
        self.ids = torch.zeros(capacity, DISTINCT + 1, dtype=torch.long, device=device)
        self.added, self.owed = 0, 0.0

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """(latents [count, 4, 32, 32] of unit variance, drawn from the posterior; small pictures [count, 3, 32, 32] in
        -1 to 1; ids [count, 17]).
        """
        rows = self._rows(count)
        mean, log_variance = self.moments[rows].float().chunk(2, 1)
        latents = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return latents * VAE.scaling, self.small.of(self.large[rows] / 255), self.ids[rows]

    def pictures(self, count: int) -> tuple[Tensor, Tensor]:
        """(pictures [count, 3, 128, 128] in -1 to 1; moments [count, 8, 32, 32])."""
        rows = self._rows(count)
        return self.large[rows] / 127.5 - 1, self.moments[rows].float()

    def _rows(self, count: int) -> Tensor:
        """Rows of the ring, drawn after it was renewed."""
        self.owed += self.new * count
        while self.owed > 0:
            self._add()
        filled = min(self.added, len(self.ids))
        return torch.randint(filled, (count,), generator=self.generator).to(self.ids.device)

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
            moments = moments_at_twice_the_size(self.vae, pictures)
        rows = (torch.arange(CHUNK) + self.added) % len(self.ids)
        self.moments[rows] = moments.half()
        self.large[rows] = ((pictures + 1) * 127.5).round().byte()
        self.ids[rows] = torch.tensor([short_ids(caption, UPSCALER) for caption in captions], device=self.ids.device)
        self.added, self.owed = self.added + CHUNK, self.owed - CHUNK

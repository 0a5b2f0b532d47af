"""Models with random weights that are drawn whenever they are read: nothing is downloaded, and no disk is used."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..trainer.files.safetensors import Shapes
from ..trainer.model.base import Base
from ..trainer.model.families.latent_diffusion.keys import DENOISER
from .full_size import random_weight

FP8 = torch.float8_e4m3fn
"""The dtype of most fp8 checkpoints."""


@dataclass(frozen=True)
class RandomSource:
    """A `Source` whose tensors are random, and the same at every read. device: where they are drawn.

    denoiser_dtype: of the denoiser's tensors; all others are bfloat16.
    """

    name: str
    shapes: Shapes
    device: torch.device
    denoiser_dtype: torch.dtype = torch.bfloat16
    hints: Mapping[str, str] = field(default_factory=lambda: {"prediction_type": "epsilon"})

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """The tensors whose name starts with `prefix`, on the CPU."""
        return {key: self._tensor(key, shape) for key, shape in self.shapes.items() if key.startswith(prefix)}

    def _tensor(self, key: str, shape: tuple[int, ...]) -> Tensor:
        """One tensor, the same at every read: the generator is seeded by its name."""
        generator = torch.Generator(self.device).manual_seed(zlib.crc32(key.encode()))
        drawn = random_weight(key, shape, self.device, generator)
        return drawn.to(self.denoiser_dtype if key.startswith(DENOISER) else drawn.dtype).cpu()


@dataclass(frozen=True)
class RandomModel:
    """A model of a family at one size. side: of its training images, in pixels. shapes: of its checkpoint.

    fp8: whether its denoiser is stored in 8-bit floating point.
    """

    name: str
    family: Callable[[], type[Base]]
    shapes: Callable[[], Shapes]
    side: int
    fp8: bool = False

    def source(self, device: torch.device) -> RandomSource:
        """Its weights. device: where the numbers are drawn if it is a CUDA device, else the CPU draws them."""
        # Apple's GPUs draw no random bfloat16 in older releases.
        drawn_on = device if device.type == "cuda" else torch.device("cpu")
        return RandomSource(self.name, self.shapes(), drawn_on, FP8 if self.fp8 else torch.bfloat16)

    def load(
        self,
        source: RandomSource,
        dtype: torch.dtype,
        device: torch.device,
        text_dtype: torch.dtype = torch.float32,
    ) -> Base:
        """The model, which computes on `device`. dtype: of the denoiser's layers. text_dtype: of the text encoders'."""
        # Its weights are the same everywhere, so they need not be hashed.
        known = f"{zlib.crc32(self.name.encode()):064x}"
        return self.family()(source, "epsilon", dtype, known, text_dtype).compute_on(device)

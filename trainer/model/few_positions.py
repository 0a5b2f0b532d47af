"""On a CPU, a denoiser of few positions is fastest in other forms than one of many (figures: bench/README.md)."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor

from .cpu_kernels import pack

MOST = 256
"""Above this, convolutions want their channels last, and plain attention's memory grows with the square."""


def arrange(denoiser: Any, latents: Tensor) -> None:
    """Where latents [N, C, h, w] are small: attention plainly, as two products; frozen convolutions packed.

    The answers are the same but for rounding. Changes `denoiser`.
    """
    if latents.device.type != "cpu" or latents.shape[-2] * latents.shape[-1] > MOST:
        return
    denoiser.to(memory_format=torch.contiguous_format)
    if hasattr(denoiser, "set_attn_processor"):
        denoiser.set_attn_processor(AttnProcessor())
    sizes = _sizes(latents.shape[-2], latents.shape[-1])
    for layer in denoiser.modules():
        pack(layer, sizes)


def _sizes(height: int, width: int) -> set[tuple[int, int]]:
    """What the levels of a UNet are shown: half of the level before."""
    sizes = {(height, width)}
    while max(height, width) > 1:
        height, width = (height + 1) // 2, (width + 1) // 2
        sizes.add((height, width))
    return sizes

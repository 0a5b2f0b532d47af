"""On a CPU, a denoiser of few positions is fastest in other forms than one of many (figures: bench/README.md)."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor

from .packed_convolution import pack

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
    for layer in denoiser.modules():
        pack(layer)

"""Stable Diffusion 1.x: conditioned on the last layer of CLIP ViT-L; ε- or v-prediction."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ...files.safetensors import Shapes
from ..base import Conditioning
from ..keys import KeyTable
from .latent_diffusion.base import OneTextEncoder, join_windows
from .latent_diffusion.keys import CLIP_L_PREFIXES, clip_table, first_prefix_in
from .latent_diffusion.unet_shape import UNetShape

HEADS = 8
"""Attention heads at every level."""


class StableDiffusion1(OneTextEncoder):
    """Stable Diffusion 1.4, 1.5 and models fine-tuned from them."""

    family: ClassVar[str] = "sd1"
    context: ClassVar[int] = 768
    comfyui: ClassVar[dict[str, str]] = {"denoiser": "diffusion_model.", "text_encoder": "clip_l.transformer."}
    kohya_version: ClassVar[str] = "sd_v1"
    pad_tokens: ClassVar[dict[str, str]] = {"text_encoder": "<|endoftext|>"}

    @classmethod
    def architecture_of(cls, prediction: str | None) -> str:
        """The architecture in the modelspec specification."""
        return "stable-diffusion-v1"

    def encode_tokens(self, token_ids: Tensor) -> Conditioning:
        """{"context": [B, 77·k, 768]}: the output of CLIP's last layer, after its final layer norm."""
        rows = self._encoded("text_encoder", token_ids).last_hidden_state
        return {"context": join_windows(rows, token_ids)}

    @classmethod
    def _text_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """The key table of CLIP ViT-L, under the prefix that the file uses."""
        return {"text_encoder": clip_table(first_prefix_in(CLIP_L_PREFIXES, shapes))}

    def _text_activations(self) -> dict[str, str]:
        """CLIP ViT-L's activation."""
        return {"text_encoder": "quick_gelu"}

    def _heads(self, shape: UNetShape) -> int:
        """Eight heads at every level."""
        return HEADS

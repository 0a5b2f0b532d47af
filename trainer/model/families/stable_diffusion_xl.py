"""SDXL: conditioned on the concatenated penultimate layers of CLIP ViT-L and OpenCLIP ViT-bigG, and on image sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...files.safetensors import Shapes
from ...subject.frame import Frame
from ..base import Conditioning
from ..keys import KeyTable, count_numbered
from .latent_diffusion.base import LatentDiffusion, join_windows
from .latent_diffusion.clip_prompts import ROW, padded_with
from .latent_diffusion.keys import CLIP_L_OF_TWO, OPEN_CLIP_OF_TWO, clip_table, open_clip_table

PAD_OF_SECOND = 0
"""The token id that pads prompts for the second text encoder ("!")."""


class StableDiffusionXL(LatentDiffusion):
    """SDXL 1.0's base model and models fine-tuned from it; the refiner is another model."""

    family: ClassVar[str] = "sdxl"
    context: ClassVar[int] = 2048
    latent_scale: ClassVar[float] = 0.13025
    resolution: ClassVar[int] = 1024
    label: ClassVar[str] = "label_emb.0."
    kohya: ClassVar[dict[str, str]] = {
        "denoiser": "lora_unet_",
        "text_encoder": "lora_te1_",
        "text_encoder_2": "lora_te2_",
    }
    kohya_by_original: ClassVar[bool] = True
    diffusers: ClassVar[dict[str, str]] = {
        "denoiser": "unet",
        "text_encoder": "text_encoder",
        "text_encoder_2": "text_encoder_2",
        "vae": "vae",
    }
    comfyui: ClassVar[dict[str, str]] = {
        "denoiser": "diffusion_model.",
        "text_encoder": "clip_l.transformer.",
        "text_encoder_2": "clip_g.transformer.",
    }
    kohya_version: ClassVar[str] = "sdxl_base_v1-0"
    pipeline: ClassVar[str] = "StableDiffusionXLPipeline"
    pipeline_index: ClassVar[dict[str, Any]] = {"force_zeros_for_empty_prompt": True}
    pad_tokens: ClassVar[dict[str, str]] = {"text_encoder": "<|endoftext|>", "text_encoder_2": "!"}

    @classmethod
    def architecture_of(cls, prediction: str | None) -> str:
        """The architecture in the modelspec specification."""
        return "stable-diffusion-xl-v1-base"

    def encode_tokens(self, token_ids: Tensor) -> Conditioning:
        """{"context": [B, 77·k, 2048], "pooled": [B, 1280]}; pooled: the second encoder's projected text embedding of
        the first row of 77 tokens.
        """
        second = self._encoded("text_encoder_2", padded_with(token_ids.reshape(-1, ROW), PAD_OF_SECOND))
        first = self._encoded("text_encoder", token_ids)
        rows = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
        pooled = second.text_embeds.reshape(len(token_ids), -1, second.text_embeds.shape[-1])
        return {"context": join_windows(rows, token_ids), "pooled": pooled[:, 0]}

    def frame_conditioning(self, frames: Sequence[Frame]) -> Conditioning:
        """{"sizes": [B, 6]}: original size, crop corner and crop size of each image."""
        return {"sizes": torch.tensor([frame.numbers for frame in frames], device=self.device)}

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The UNet's prediction, in the shape of `noisy`."""
        told = {"text_embeds": conditioning["pooled"], "time_ids": conditioning["sizes"]}
        return self.denoiser(
            noisy, timesteps, conditioning["context"], added_cond_kwargs=told, return_dict=False
        )[0]  # fmt: skip

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in 0..1, computed in float32, because SDXL's VAE overflows in fp16."""
        if latents.device.type in ("mps", "meta"):
            return super().decode_latents(latents)
        with torch.autocast(latents.device.type, enabled=False):
            return super().decode_latents(latents.float())

    @classmethod
    def _text_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """The key tables of CLIP ViT-L and OpenCLIP ViT-bigG."""
        blocks = count_numbered(shapes, OPEN_CLIP_OF_TWO + "transformer.resblocks.{}.ln_1.weight")
        second = open_clip_table(OPEN_CLIP_OF_TWO, blocks)
        return {"text_encoder": clip_table(CLIP_L_OF_TWO), "text_encoder_2": second}

    def _text_activations(self) -> dict[str, str]:
        """The activations of CLIP ViT-L and OpenCLIP ViT-bigG."""
        return {"text_encoder": "quick_gelu", "text_encoder_2": "gelu"}

"""Stable Diffusion 1 and 2: what follows from one text encoder beside the UNet."""

from __future__ import annotations

from typing import Any, ClassVar

from .base import LatentDiffusion


class OneTextEncoder(LatentDiffusion):
    """The names of its parts in kohya's files and diffusers' folders."""

    kohya: ClassVar[dict[str, str]] = {"denoiser": "lora_unet_", "text_encoder": "lora_te_"}
    diffusers: ClassVar[dict[str, str]] = {"denoiser": "unet", "text_encoder": "text_encoder", "vae": "vae"}
    pipeline: ClassVar[str] = "StableDiffusionPipeline"
    pipeline_index: ClassVar[dict[str, Any]] = {
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
    }

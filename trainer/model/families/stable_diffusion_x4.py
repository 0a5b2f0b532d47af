"""Stable Diffusion x4, which enlarges a picture four times: conditioned on the picture, on the level of the noise on
it, and on OpenCLIP ViT-H's penultimate layer; v-prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from ..base import Conditioning
from ..keys import Components
from ..noise_process import Prediction
from ..small_picture import LEVEL, PICTURE, SmallPicture
from ..source import Source
from .latent_diffusion.noise_schedule import UPSCALER_SCHEDULE, alphas_cumprod
from .latent_diffusion.prediction import declared_prediction, prediction_of
from .latent_diffusion.unet_shape import UNetShape
from .stable_diffusion_2 import StableDiffusion2

HEADS = 8
"""Attention heads at every level."""
HIGHEST_LEVEL = 350
"""The highest noise level on the small picture in the model's pretraining."""


class StableDiffusionX4(StableDiffusion2):
    """Stable Diffusion's x4 upscaler and models fine-tuned from it. Its latents have the small picture's size."""

    family: ClassVar[str] = "sdx4"
    label: ClassVar[str] = "label_emb.weight"
    shown_channels: ClassVar[int] = 3
    pixels_per_latent: ClassVar[int] = 4
    latent_scale: ClassVar[float] = 0.08333
    schedule: ClassVar[Mapping[str, Any]] = UPSCALER_SCHEDULE
    kohya_version: ClassVar[str] = ""
    comfyui_sampling: ClassVar[dict[tuple[str, str], str]] = {
        ("ModelSamplingDiscrete", "V_PREDICTION"): "v_prediction",
    }
    pipeline: ClassVar[str] = "StableDiffusionUpscalePipeline"
    pipeline_index: ClassVar[dict[str, Any]] = {
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "watermarker": [None, None],
        "max_noise_level": HIGHEST_LEVEL,
    }

    @classmethod
    def architecture_of(cls, prediction: str | None) -> str:
        """The architecture, in the manner of the modelspec specification, which names none for this model."""
        return "stable-diffusion-v2-x4-upscaler"

    @classmethod
    def prediction_type(cls, source: Source, asked: str | None) -> Prediction:
        """The prediction type: the requested or declared one, else v, which the pretrained model predicts."""
        return prediction_of(source, asked or declared_prediction(source) or "v_prediction")

    @classmethod
    def native_resolution(cls, source: Source, prediction: str | None) -> int:
        """The side of the enlarged pictures of the pretraining, in pixels."""
        return cls.resolution

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The UNet's prediction, in the shape of `noisy`."""
        shown = torch.cat([noisy, conditioning[PICTURE].to(noisy.dtype)], dim=1)
        return self.denoiser(
            shown, timesteps, conditioning["context"], class_labels=conditioning[LEVEL], return_dict=False
        )[0]  # fmt: skip

    def schedulers(self) -> dict[str, Any]:
        """The scheduler of the latents, and that of the noise on the small picture."""
        return {**super().schedulers(), "low_res_scheduler": DDPMScheduler(**self.schedule)}

    def _build(self, tensors: Components, prediction: str | None, dtype: torch.dtype) -> None:
        """Create all components, and the noise process of the small picture."""
        super()._build(tensors, prediction, dtype)
        self.small_picture = SmallPicture(alphas_cumprod(False, self.schedule), self.pixels_per_latent, HIGHEST_LEVEL)

    def _heads(self, shape: UNetShape) -> int:
        """Eight heads at every level."""
        return HEADS

"""The upscaler of toybase: Stable Diffusion x4's UNet with two levels and one attention layer, 32 to 128 pixels."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn
from torch.nn import functional as F

from .text_encoder import UPSCALER

SCHEDULE = {"num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear"}
"""Stable Diffusion x4's noise schedule, of the latents and of the small picture, in diffusers' words."""
CHANNELS = (96, 96)
"""The width of each level, outermost first; one residual block a level, attention in the middle alone."""
LEVELS, HIGHEST_LEVEL = 1000, 350
"""Noise levels that the UNet has vectors for, and the highest that it is trained with."""
FEATURES = 64
"""Numbers that a noise level's vector is a linear function of."""
EMBEDDING = "class_embedding.weight"


def new_upscaler(sample_size: int = 32) -> UNet2DConditionModel:
    """A randomly initialised upscaler; predicts v, 8 attention heads, context of 1024."""
    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=7,
        out_channels=4,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * len(CHANNELS),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("UpBlock2D",) * len(CHANNELS),
        cross_attention_dim=UPSCALER.width,
        attention_head_dim=8,
        use_linear_projection=True,
        num_class_embeds=LEVELS,
    )


class LevelEmbedding(nn.Module):
    """The vectors of all noise levels as a linear function of FEATURES sines and cosines of the level, so that each
    level is learned from its neighbours too.
    """

    features: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, FEATURES) * 0.02)
        self.register_buffer("features", level_features(), persistent=False)

    def forward(self, levels: Tensor) -> Tensor:
        """Vectors [B, width] of levels int64 [B]."""
        return F.linear(self.features[levels], self.weight)


def level_features() -> Tensor:
    """Sines and cosines [LEVELS, FEATURES] of each level."""
    features: Tensor = get_timestep_embedding(torch.arange(LEVELS), FEATURES)
    return features


def in_training() -> UNet2DConditionModel:
    """A new upscaler whose noise levels are embedded by a `LevelEmbedding`; its state is what is stored."""
    model = new_upscaler()
    model.class_embedding = LevelEmbedding(model.class_embedding.weight.shape[1])
    return model


def whole_weights(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of `new_upscaler` from those of `in_training`: a vector for each noise level."""
    return stored | {EMBEDDING: level_features() @ stored[EMBEDDING].T}

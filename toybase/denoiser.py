"""The denoiser of toybase: SD 1.5's UNet with two levels of 320 channels and one block each, 36.7M parameters."""

from __future__ import annotations

from diffusers import UNet2DConditionModel

SCHEDULE = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
"""SD 1.x's noise schedule, in diffusers' words."""
BLOCKS, ATTENTION = 1, (0, 1)
"""Residual blocks per level; transformer depth of each level, outermost first."""


def new_denoiser(sample_size: int = 16) -> UNet2DConditionModel:
    """A randomly initialised denoiser; predicts epsilon, 8 attention heads, context of 768."""
    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=4,
        out_channels=4,
        block_out_channels=(320,) * len(ATTENTION),
        layers_per_block=BLOCKS,
        down_block_types=tuple(f"{'CrossAttn' if depth else ''}DownBlock2D" for depth in ATTENTION),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=tuple(f"{'CrossAttn' if depth else ''}UpBlock2D" for depth in reversed(ATTENTION)),
        cross_attention_dim=768,
        attention_head_dim=8,
    )

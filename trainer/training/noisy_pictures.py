"""The small pictures that an upscaler is trained on, with noise of the level that the options choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import randomness
from ..model.base import Conditioning, Model
from ..model.small_picture import SmallPicture
from ..options import TrainOptions
from ..options.setting import OptionError


@dataclass(frozen=True)
class NoisyPictures:
    """How small pictures are shown in a training. process: of the model. level: of the noise, for all samples."""

    process: SmallPicture
    level: int

    def drawn(self, small: Tensor, seed: int, stream: str, samples: Sequence[int]) -> Conditioning:
        """The conditioning for small pictures [B, 3, h, w] of samples with these indices, on which the noise depends.
        stream: "instance" or "prior".
        """
        noise = randomness.normal(seed, f"{stream}.picture", samples, small.shape[1:]).to(small.device)
        levels = torch.full((len(samples),), self.level, device=small.device)
        return self.process.shown(small, noise, levels)


def noisy_pictures(base: Model, options: TrainOptions) -> NoisyPictures | None:
    """How a training shows small pictures; None for a model that draws from a prompt. Raises OptionError for a noise
    level that the model was not trained with, or that it does not have.
    """
    process, level = base.small_picture, options.noise_level
    if process is None:
        if level:
            raise OptionError(
                f"noise_level is {level}, and this model is shown no picture that it would put noise on: set it to 0."
            )
        return None
    if level > process.highest_level:
        raise OptionError(
            f"noise_level is {level}, and this upscaler was trained with levels up to {process.highest_level}."
        )
    return NoisyPictures(process, level)

"""Trainings that are ready for their first step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dreambooth_nodes.trainer.methods.registry import METHODS
from dreambooth_nodes.trainer.model.base import Base, Conditioning
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.session.setup import build_training
from dreambooth_nodes.trainer.training.batches import Batch
from dreambooth_nodes.trainer.training.encoded import Encoded, EncodedImages
from dreambooth_nodes.trainer.training.step import Training


def training_on(base: Base, encoded: Encoded, options: TrainOptions) -> Training:
    """A training of a base without a method, which gets the options' own."""
    method = METHODS[options.method]()
    method.attach(base, options)
    return build_training(base, method, options, encoded)


def images_of(
    mean: Tensor, std: Tensor, prompt: int, masks: Tensor | None = None, frames: Conditioning | None = None
) -> EncodedImages:
    """Images of one size, with the same prompt, from tensors of N rows."""
    rows = None if masks is None else list(masks)
    return EncodedImages(list(mean), list(std), rows, (prompt,) * len(mean), frames or {})


@dataclass
class AlwaysThis:
    """A source whose every step is one batch."""

    batch: Batch
    batch_size: int = 1
    accumulation: int = 1

    def __getitem__(self, index: int) -> Any:
        return (self.batch,)

"""What the concept encoder of the embedded base learns first: to find a drawing in a scene, and to say how it looks.

InstantBooth starts from an encoder that was pretrained on pictures; there is none of these, and none may be taken from
a judge. So the patch features first learn to show the drawing without its surroundings, and the pooled features to show
it upright and centred; the two linear layers that read this off them are not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..trainer.instantbooth.encoder import ConceptEncoder
from ..trainer.model.precision import autocast, fastest_dtype
from ..trainer.training.loss import Losses
from ..trainer.training.step import Objective
from .scene_pairs import ScenePairs

SIDE, CENTRED = 64, 16
"""Side in pixels of what patch features show of a whole picture, and of what pooled ones show of the drawing."""


@dataclass(frozen=True)
class Drawings:
    """Photos [B, 3, H, W] in -1..1, and what they show: premultiplied RGBA in 0..1 of the whole picture without its
    surroundings [B, 4, SIDE, SIDE], and of the drawing alone [B, 4, CENTRED, CENTRED].
    """

    photos: Tensor
    alone: Tensor
    centred: Tensor


@dataclass
class DrawingsOf:
    """`trainer.training.step.Source` of the drawings in the scenes that a predictor learns from."""

    pairs: ScenePairs
    batch_size: int
    accumulation: int = 1

    def __getitem__(self, index: int) -> Sequence[Drawings]:
        """The batches of a step."""
        first = index * self.accumulation
        return [self._batch(first + part, index) for part in range(self.accumulation)]

    def _batch(self, number: int, step: int) -> Drawings:
        pictures, masks, seen = self.pairs.photos(number, step, self.batch_size)
        rgba = torch.cat([(pictures + 1) / 2 * masks, masks], 1)
        return Drawings(seen, F.interpolate(rgba, (SIDE, SIDE), mode="area"), centred(rgba))


class DrawingObjective(Objective):
    """The squared errors of both pictures that are read off the encoder's features."""

    def __init__(self, encoder: ConceptEncoder) -> None:
        super().__init__()
        shape, self.encoder = encoder.shape, encoder
        self.side = SIDE // (shape.photo // 16)
        self.of_patches = nn.Linear(shape.widths[-1], 4 * self.side**2)
        self.of_pooled = nn.Linear(shape.widths[-1] * shape.vectors, 4 * CENTRED**2)
        self.dtype = fastest_dtype(torch.device("cpu"))

    def forward(self, batch: Drawings) -> Tensor:
        """`Losses.stacked` of the batch."""
        with autocast(self.dtype, batch.photos.device):
            patches = self.encoder.patches(batch.photos)
            alone, pooled = self.of_patches(patches), self.of_pooled(self.encoder.pool(patches).flatten(1))
        wanted = F.unfold(batch.alone, self.side, stride=self.side).transpose(1, 2)
        loss = F.mse_loss(alone.float(), wanted) + F.mse_loss(pooled.float(), batch.centred.flatten(1))
        return Losses(loss, None, loss).stacked


def centred(rgba: Tensor) -> Tensor:
    """What is drawn in premultiplied RGBA [B, 4, S, S], cropped to a square around it: [B, 4, CENTRED, CENTRED]."""
    side, inside = rgba.shape[-1], rgba[:, 3] > 0.5
    spans = []
    for axis in (1, 2):
        seen = inside.any(axis).float()
        first, last = seen.argmax(1), side - seen.flip(1).argmax(1)
        spans.append(((first + last) / side - 1, (last - first) / side))
    (x, width), (y, height) = spans
    scale, zero = torch.maximum(width, height), torch.zeros_like(x)
    grid = torch.stack([torch.stack([scale, zero, x], 1), torch.stack([zero, scale, y], 1)], 1)
    sampled = F.affine_grid(grid, [len(rgba), 4, 4 * CENTRED, 4 * CENTRED], align_corners=False)
    return F.avg_pool2d(F.grid_sample(rgba, sampled, align_corners=False), 4)

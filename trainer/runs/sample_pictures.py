"""The sample pictures of a run, on disk: `samples/step_<n>_<i>.png` in its folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..events import Sample
from ..files.pictures import write_picture

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SamplePictures:
    """`folder`: where they lie; it need not be there."""

    folder: Path

    def keep(self, sample: Sample) -> None:
        """Write a sample's pictures."""
        for index, image in enumerate(sample.images):
            write_picture(image, self.folder / f"step_{sample.step:06d}_{index}.png")

    def all(self) -> Tensor:
        """By step, [B, 3, H, W] in 0..1; B may be 0. None that is torn or of another size than the newest."""
        newest_first = list(self._newest_first())
        same = [picture for picture in reversed(newest_first) if picture.shape == newest_first[0].shape]
        return torch.stack(same) if same else torch.zeros(0, 3, 8, 8)

    def newest(self) -> Tensor | None:
        """The newest picture that can be read, [3, H, W] in 0..1."""
        return next(self._newest_first(), None)

    def _newest_first(self) -> Iterator[Tensor]:
        for file in sorted(self.folder.glob("step_*.png"), reverse=True):
            try:
                with Image.open(file) as picture:
                    pixels = torch.from_numpy(np.array(picture.convert("RGB")))
            except (OSError, SyntaxError) as error:
                log.warning("The picture %s cannot be read: %s", file, error)
            else:
                yield pixels.permute(2, 0, 1) / 255

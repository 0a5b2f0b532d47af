"""A run's sample images on disk: `samples/step_<step>_<index>.png` in its folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # A host that trains in another process may have another torch, or none.
    from torch import Tensor

    from ..events import Sample

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SamplePictures:
    """The sample images in `folder`, which need not exist."""

    folder: Path

    def keep(self, sample: Sample) -> None:
        """Write the images of one sample."""
        from ..files.pictures import write_picture

        for index, image in enumerate(sample.images):
            write_picture(image, self.folder / f"step_{sample.step:06d}_{index}.png")

    def all(self) -> Tensor:
        """All images by step, [B, 3, H, W] in 0..1; B may be 0. Damaged ones and those of another size than the newest
        are left out.
        """
        import torch

        newest_first = list(self._newest_first())
        same = [picture for picture in reversed(newest_first) if picture.shape == newest_first[0].shape]
        return torch.stack(same) if same else torch.zeros(0, 3, 8, 8)

    def newest(self) -> Tensor | None:
        """The newest readable image, [3, H, W] in 0..1; None without any."""
        return next(self._newest_first(), None)

    def _newest_first(self) -> Iterator[Tensor]:
        """The readable images, newest first; an unreadable one is logged."""
        from ..files.pictures import read_picture

        for file in sorted(self.folder.glob("step_*.png"), reverse=True):
            try:
                yield read_picture(file)
            except (OSError, SyntaxError) as error:
                log.warning("The picture %s cannot be read: %s", file, error)

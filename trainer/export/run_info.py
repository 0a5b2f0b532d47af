"""What a run knows of itself when its file is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..options import TrainOptions
from ..subject.subject import Subject


@dataclass(frozen=True)
class RunInfo:
    """What a run knows: the words, the pictures, the settings. base_file: the user's own file, where there is one."""

    name: str
    identifier: str
    subject: Subject
    options: TrainOptions
    steps: int
    priors: int = 0
    base_file: Path | None = None
    thumbnail: Tensor | None = None

    @property
    def trigger(self) -> str:
        """ "[V] class"."""
        return f"{self.identifier} {self.subject.class_noun}"

"""The facts of a run that go into its result's metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..options import TrainOptions
from ..subject.subject import Subject


@dataclass(frozen=True)
class RunInfo:
    """The facts of a run for its result's metadata. steps: trained. priors: number of class images. base_file: the
    user's own file, where there is one, and base_sha256 its hash. thumbnail: an image [3, H, W] in 0..1. said_as: the
    result's own trigger; "" for "[V] class".
    """

    name: str
    identifier: str
    subject: Subject
    options: TrainOptions
    steps: int
    priors: int = 0
    base_file: Path | None = None
    thumbnail: Tensor | None = None
    base_sha256: str = ""
    said_as: str = ""

    @property
    def trigger(self) -> str:
        """The phrase with which a prompt calls the subject: "[V] class", or a learned word; of several subjects all
        phrases.
        """
        return self.said_as or ", ".join(self.triggers)

    @property
    def triggers(self) -> list[str]:
        """The phrase of each subject, "[V] class"."""
        return [f"{one.identifier or self.identifier} {one.class_noun}" for one in self.subject.each]

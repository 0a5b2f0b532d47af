"""What a family tells of a model before it is loaded: by names, shapes and a few numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from ..files.safetensors import Shapes
from ..subject.rare_tokens import Vocabulary
from .keys import KeyTable
from .other_tools import NamesElsewhere
from .part import Part, PartFiles
from .source import Source


class Family(NamesElsewhere, ABC):
    """The half of `Base` that needs no weights in memory."""

    family: ClassVar[str]
    sampler: ClassVar[str] = "euler_ancestral"
    """What pictures are drawn with where nobody says it; ancestral, as the paper draws its class images."""
    vocabulary: ClassVar[type[Vocabulary] | None] = None
    """Where rare tokens are looked up; None: identifiers are given by hand."""
    latent_channels: ClassVar[int] = 4
    pixels_per_latent: ClassVar[int] = 8
    resolution: ClassVar[int] = 512
    """Pixels a side that the family was trained at."""

    @classmethod
    @abstractmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """Whether a file with these tensors is of this family."""

    @classmethod
    @abstractmethod
    def key_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """{component: KeyTable} for a file with these tensors."""

    @classmethod
    def parts(cls, files: PartFiles) -> tuple[Part, ...] | None:
        """What a model in several files is made of; None where the denoiser is of another kind, or only whole.

        Raises CheckpointError for a text encoder or a VAE of another kind beside it.
        """
        return None

    @classmethod
    def answers(cls, source: Source, asked: str | None) -> str | None:
        """What the denoiser answers, where a family has a choice: as asked, else as the model shows."""
        return asked

    @classmethod
    def marks(cls, source: Source, asked: str | None) -> dict[str, Tensor]:
        """What a whole checkpoint needs beside the source's tensors, so that hosts know what the denoiser answers."""
        return {}

    @classmethod
    def trained_at(cls, source: Source, prediction: str | None) -> int:
        """Pixels a side that the model was trained at."""
        return cls.resolution

    @classmethod
    @abstractmethod
    def lora_targets(cls, component: str, targets: str) -> str:
        """A regular expression for the modules of a component that get a LoRA."""

    @classmethod
    @abstractmethod
    def architecture_of(cls, prediction: str | None) -> str:
        """The name in the modelspec specification, for what the denoiser answers."""

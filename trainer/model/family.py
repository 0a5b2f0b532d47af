"""What a family tells of a model before it is loaded: by names, shapes and a few numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from ..files.safetensors import Shapes
from ..subject.rare_tokens import Vocabulary
from .keys import KeyTable
from .source import Part, PartFiles, Source


class ExternalNames:
    """Components are "denoiser", "vae" and the text encoders; only what can be trained has names for LoRAs."""

    kohya: ClassVar[dict[str, str]]
    """{trained component: what stands before its layers' names in kohya's LoRA files}."""
    kohya_by_original: ClassVar[bool] = False
    """Whether the denoiser's layers have the original layout's names there, or ours."""
    kohya_version: ClassVar[str] = ""
    """kohya's ss_base_model_version, without the `_v` of v-prediction."""
    diffusers: ClassVar[dict[str, str]]
    """{component: its folder and LoRA prefix in diffusers}."""
    pipeline: ClassVar[str] = ""
    """The class of diffusers that runs the family, where its folder can be written."""
    pipeline_index: ClassVar[dict[str, Any]] = {}
    """What that folder's model_index.json says beside its components."""
    comfyui: ClassVar[dict[str, str]]
    """{trained component: what stands before its weights' names in ComfyUI, and first the text encoder's own name}.

    The denoiser's names there are the original ones.
    """
    comfyui_sampling: ClassVar[dict[tuple[str, str], str]] = {}
    """{ComfyUI's classes of (noise schedule, answer): what the denoiser answers}, for all that can be trained."""
    embeddings: ClassVar[tuple[str, ...]] = ()
    """How the names of tables end that are looked up in: no LoRA changes them."""

    @classmethod
    def shared_name(cls, component: str, name: str) -> str:
        """What kohya, diffusers and ComfyUI all call a layer or weight inside a component; ours, where that is it."""
        return name

    @classmethod
    def answer_in_comfyui(cls, sampling: tuple[str, ...]) -> str:
        """What the denoiser answers where ComfyUI samples by these classes: noise schedule, answer.

        No weight carries it, and a graph may have changed it. Raises ValueError for what the family is not trained by.
        """
        for known, answer in cls.comfyui_sampling.items():
            if known == sampling:
                return answer
        choices = " or ".join(cls.comfyui_sampling.values())
        raise ValueError(
            f"The model samples by {', '.join(sampling)}, which this kind of model cannot be trained for: only "
            f"{choices or 'outside ComfyUI'}."
        )

    def save_tokenizer(self, component: str, folder: Path) -> str:
        """Write a text encoder's tokenizer as transformers reads it; its class. For a family with a pipeline."""
        raise NotImplementedError(f"{type(self).__name__} names a pipeline, and has no tokenizer for {component!r}")


class Family(ExternalNames, ABC):
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
    def prediction_type(cls, source: Source, asked: str | None) -> str | None:
        """What the denoiser answers, where a family has a choice: as asked, else as the model shows."""
        return asked

    @classmethod
    def marker_tensors(cls, source: Source, asked: str | None) -> dict[str, Tensor]:
        """What a whole checkpoint needs beside the source's tensors, so that hosts know what the denoiser answers."""
        return {}

    @classmethod
    def native_resolution(cls, source: Source, prediction: str | None) -> int:
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

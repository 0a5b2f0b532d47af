"""The class-level facts of a model family, available before a model is loaded: names, shapes and a few numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from ..files.safetensors import Shapes
from ..subject.rare_tokens import Vocabulary
from .keys import KeyTable
from .remainder import Remainder, remainder_of
from .source import Part, PartFiles, Source


class ExternalNames:
    """The names of a family's components and weights in other programs' files.

    Components are "denoiser", "vae" and the text encoders; only those that can be trained have names in LoRA files.
    "Our names" are this package's names of weights, diffusers' and transformers' (see `keys`).
    """

    kohya: ClassVar[dict[str, str]]
    """{trained component: the prefix of its layers' names in kohya's LoRA files}."""
    kohya_by_original: ClassVar[bool] = False
    """Whether kohya's LoRA files name the denoiser's layers by the original layout rather than by diffusers'."""
    kohya_version: ClassVar[str] = ""
    """kohya's ss_base_model_version, without the suffix `_v` of v-prediction."""
    diffusers: ClassVar[dict[str, str]]
    """{component: its folder in a diffusers model, which is also its prefix in diffusers' LoRA files}."""
    pipeline: ClassVar[str] = ""
    """diffusers' pipeline class of the family; empty where no diffusers folder can be written."""
    pipeline_index: ClassVar[dict[str, Any]] = {}
    """The entries of that folder's model_index.json besides the components."""
    comfyui: ClassVar[dict[str, str]]
    """{trained component: the prefix of its weights' names in ComfyUI, which starts with the text encoder's own name}.

    After the prefix, the denoiser's names are those of the original layout.
    """
    comfyui_sampling: ClassVar[dict[tuple[str, str], str]] = {}
    """{ComfyUI's classes of (noise schedule, prediction): the prediction type}, for all that can be trained."""
    embeddings: ClassVar[tuple[str, ...]] = ()
    """The ends of the names of embedding tables, which no LoRA changes."""

    @classmethod
    def shared_name(cls, component: str, name: str) -> str:
        """The name of a layer or weight that kohya, diffusers and ComfyUI share; by default our name."""
        return name

    @classmethod
    def comfyui_prediction_type(cls, sampling: tuple[str, ...]) -> str:
        """The prediction type of a model that ComfyUI samples by these classes: (noise schedule, prediction).

        The weights do not show it, and a ComfyUI graph may have changed it. Raises ValueError for classes that the
        family cannot be trained for.
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
        """Write a text encoder's tokenizer into `folder` as transformers reads it; returns its class in transformers.

        To be implemented by a family with a pipeline.
        """
        raise NotImplementedError(f"{type(self).__name__} names a pipeline, and has no tokenizer for {component!r}")


class Family(ExternalNames, ABC):
    """The part of `Base` that needs no weights in memory.

    family: the family's short name.
    """

    family: ClassVar[str]
    sampler: ClassVar[str] = "euler_ancestral"
    """The default sampler; ancestral, like the one that the paper samples its class images with."""
    takes_words: ClassVar[bool] = False
    """Whether the text encoders take new words (see `word_embedding`)."""
    vocabulary: ClassVar[type[Vocabulary] | None] = None
    """The vocabulary for the rare-token lookup; None: the user has to choose the identifier."""
    latent_channels: ClassVar[int] = 4
    pixels_per_latent: ClassVar[int] = 8
    resolution: ClassVar[int] = 512
    """The resolution of the family's pretraining, in pixels a side."""
    ignorable: ClassVar[dict[str, str]] = {}
    """{what it is: a pattern of whole names} of tensors that checkpoints hold and that no module needs."""

    @classmethod
    @abstractmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """Whether a model with these tensors belongs to this family."""

    @classmethod
    @abstractmethod
    def key_tables(cls, shapes: Shapes) -> dict[str, KeyTable]:
        """{component: KeyTable} for a checkpoint with these tensors."""

    @classmethod
    def remainder(cls, shapes: Shapes) -> Remainder:
        """The tensors of a checkpoint of this family that no component uses."""
        return remainder_of(shapes, cls.key_tables(shapes), cls.ignorable)

    @classmethod
    def parts(cls, files: PartFiles) -> tuple[Part, ...] | None:
        """The components of a model in several files; None where the denoiser is of another kind, or a family is only
        read from whole checkpoints.

        Raises CheckpointError for a text encoder or VAE of another kind.
        """
        return None

    @classmethod
    def prediction_type(cls, source: Source, asked: str | None) -> str | None:
        """The denoiser's prediction type in a family that has a choice: the requested one, else the one that the model
        shows.
        """
        return asked

    @classmethod
    def marker_tensors(cls, source: Source, asked: str | None) -> dict[str, Tensor]:
        """The tensors that a whole checkpoint needs besides the source's, so that hosts know its prediction type."""
        return {}

    @classmethod
    def native_resolution(cls, source: Source, prediction: str | None) -> int:
        """The resolution of the model's pretraining, in pixels a side."""
        return cls.resolution

    @classmethod
    def stated_resolution(cls, source: Source, prediction: str | None) -> int:
        """The resolution that the model's files state, else that of its pretraining; in pixels a side."""
        # modelspec: "<width>x<height>".
        said = source.hints.get("resolution", "").split("x")[0]
        return int(said) if said.isdigit() else cls.native_resolution(source, prediction)

    @classmethod
    @abstractmethod
    def lora_targets(cls, component: str, targets: str) -> str:
        """A regular expression for the names of a component's modules that get a LoRA."""

    @classmethod
    @abstractmethod
    def architecture_of(cls, prediction: str | None) -> str:
        """The architecture in the modelspec specification, for a prediction type."""

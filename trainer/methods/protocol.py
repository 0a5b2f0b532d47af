"""The interface of a training method. A new method is a new file or folder, with a line in `registry`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from ..files.checked_file import Check
from ..model.base import Base, Model
from ..options import TrainOptions
from ..options.choices import MethodName
from ..options.setting import OptionError

Trained = Mapping[str, Mapping[str, Tensor]]
"""{component: {our name: trained tensor}}; our names are diffusers' and transformers' (see `model.keys`)."""
Folder = Literal["loras", "checkpoints", "embeddings"]
"""The store's folders for results (see `runs.store`)."""
Trains = TypeVar("Trains", bound=Model)
"""The kind of model that a method trains."""


@dataclass(frozen=True)
class ModelFile:
    """The contents of a result's file. layout: its name in `export.layouts`; "comfyui": a LoRA by ComfyUI's own names.
    "embedding": the vectors of a new word.
    metadata: those that follow from the weights. check: verifies the tensors that were written. word: the tensors of a
    learned word's file that belongs to it; empty: none.
    """

    tensors: Mapping[str, Tensor]
    layout: Literal["kohya", "checkpoint", "comfyui", "embedding"]
    check: Check
    metadata: Mapping[str, str] = field(default_factory=dict)
    word: Mapping[str, Tensor] = field(default_factory=dict)


class Method(ABC, Generic[Trains]):
    """A training method: which weights of a model are trained, with which learning rates, and how they are written.

    name: of the option's value. folder: of the store, for its results. keeps_base: whether later conversions of a
    result need the base's weights, which are then kept.
    """

    name: ClassVar[MethodName]
    folder: ClassVar[Folder]
    keeps_base: ClassVar[bool]
    warnings: tuple[str, ...] = ()
    """What is said of the weights that the method starts from, each one sentence."""

    @classmethod
    def begin(cls, identifier: str, class_noun: str, start: Any = None) -> Method[Any]:
        """The method for a subject. start: what `read_start` returned; None begins anew."""
        return cls()

    @staticmethod
    def read_start(file: Path, base: Base, options: TrainOptions) -> Any:
        """The weights to continue from, in a file or folder. Raises OptionError where they do not fit the options,
        CheckpointError where they do not fit the base.
        """
        raise OptionError(f"The method {options.method!r} continues no file: leave continue_from out.")

    @staticmethod
    def load_dtype(options: TrainOptions, forward: torch.dtype | None) -> torch.dtype:
        """The dtype to load the denoiser's layers in: the forward's, where they stay frozen. forward: the dtype of the
        forward, None for float32.
        """
        return forward or torch.float32

    @staticmethod
    def memory_levers(dtype: torch.dtype | None) -> Iterator[dict[str, Any]]:
        """Options of this method that need less memory than checkpointing alone, those that change the weights least
        first: 8 bits for a denoiser that stays frozen. dtype: of the forward, None for float32.
        """
        yield {"base_in_8_bits": True}

    def add_words(self, base: Trains, options: TrainOptions) -> None:
        """Add the words that the method trains to `base`, before prompts are encoded; most methods have none."""

    @abstractmethod
    def attach(self, base: Trains, options: TrainOptions) -> None:
        """Make the trained parameters of `base` require gradients; all others stay frozen."""

    @abstractmethod
    def trained(self, base: Trains) -> dict[str, dict[str, Tensor]]:
        """The trained weights (see `Trained`), detached, on their device; sharded where the model is."""

    @abstractmethod
    def file(self, base: Trains, trained: Trained) -> ModelFile:
        """The contents of the result's file. trained: what `trained` returned, unsharded.

        Raises ValueError for weights that are not finite, CheckpointError for weights that have no place in the file.
        """

    @abstractmethod
    def untrained(self, base: Trains) -> AbstractContextManager[Model]:
        """A context with a model that answers as the base did before it was trained."""

    @abstractmethod
    def squared_change(self, base: Trains, by_factors: bool) -> Tensor:
        """‖Δ‖², the sum of squares of what is added to the base's weights, differentiable; a scalar in float32.

        by_factors: of a LoRA, the sum of squares of its factors A and B in their product's place.
        """

    def before_update(self, base: Trains, options: TrainOptions, index: int) -> None:
        """Change the gradients of the step of this index, 0 or more, before they are clipped and used; most methods do
        not.
        """

    def after_update(self, base: Trains, options: TrainOptions, index: int) -> None:
        """Change the trained weights after the step of this index; most methods do not."""

    def components(self, base: Trains, options: TrainOptions) -> dict[str, nn.Module]:
        """{component name: module} of those that compute in every step: the denoiser and, when they are trained, the
        text encoders.
        """
        encoders = base.text_encoders if options.train_text_encoder else {}
        return {"denoiser": base.denoiser, **encoders}

    def parameter_groups(self, base: Trains, options: TrainOptions) -> list[dict[str, Any]]:
        """The optimizer's parameter groups: the denoiser's trained weights and the text encoders', each with its
        learning rate.
        """
        components = self.components(base, options)
        text_rate = options.text_encoder_learning_rate or options.learning_rate
        denoiser = trainable(components["denoiser"])
        text = [p for name, module in components.items() if name != "denoiser" for p in trainable(module)]
        groups = [{"params": denoiser, "lr": options.learning_rate}, {"params": text, "lr": text_rate}]
        return [group for group in groups if group["params"]]


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters of a module that require gradients."""
    return [p for p in module.parameters() if p.requires_grad]

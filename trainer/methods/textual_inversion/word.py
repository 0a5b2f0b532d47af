"""The training method Textual Inversion: argmin over v of ‖ε − ε_θ(z_t, t, c_v(y))‖² (Gal et al., ICLR 2023, eq. 2).

All weights of the model are frozen; v are the vectors of one new word in every text encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...files.checked_file import require_same
from ...model.base import Base
from ...model.word_embedding import WordError, add_word, token_vectors, word_parameters
from ...options import TrainOptions
from ...options.choices import MethodName
from ...options.setting import OptionError
from ..protocol import Folder, Method, ModelFile, Trained
from .file import embedding_tensors
from .start import starting_vectors

VECTORS = "token_embedding.added"
"""The name of the vectors among the trained weights."""


class TextualInversion(Method[Base]):
    """Textual Inversion: the vectors of one new word, in every text encoder of the model."""

    name: ClassVar[MethodName] = "textual_inversion"
    folder: ClassVar[Folder] = "embeddings"
    keeps_base: ClassVar[bool] = False

    def __init__(self, word: str = "[V]", class_noun: str = "thing", start: Mapping[str, Tensor] | None = None) -> None:
        """word: the new word, as prompts have it. class_noun: whose vectors it starts from, where the options name no
        other. start: {text encoder: vectors} to continue from.
        """
        self._word, self._noun, self._start = word, class_noun, start

    @classmethod
    def begin(cls, identifier: str, class_noun: str, start: Any = None) -> TextualInversion:
        """The method for the word `identifier`."""
        return cls(identifier, class_noun, start)

    @staticmethod
    def read_start(file: Path, base: Base, options: TrainOptions) -> dict[str, Tensor]:
        """The vectors to continue from (see `starting_vectors`)."""
        return starting_vectors(file, base, options)

    def add_words(self, base: Base, options: TrainOptions) -> None:
        """Add the one new word, with the vectors that it starts from. Raises OptionError where that is not possible."""
        try:
            start = self._start or token_vectors(base, options.start_word or self._noun, options.vectors)
            add_word(base, self._word, start)
        except WordError as error:
            raise OptionError(str(error)) from error

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Make the word's vectors require gradients, adding the word if the base lacks it; all else stays frozen."""
        if self._word.lower() not in base.words:
            self.add_words(base, options)
        for vectors in word_parameters(base, self._word).values():
            vectors.requires_grad_(True)

    def trained(self, base: Base) -> dict[str, dict[str, Tensor]]:
        """{text encoder: {VECTORS: the word's vectors [n, width]}}."""
        return {name: {VECTORS: vectors.detach()} for name, vectors in word_parameters(base, self._word).items()}

    @contextmanager
    def untrained(self, base: Base) -> Iterator[Base]:
        """A context with the base itself: its answers to prompts without the word have not changed."""
        yield base

    def squared_change(self, base: Base, by_factors: bool) -> Tensor:
        """0: the base's weights stay as they are."""
        return torch.zeros((), device=base.device)

    def file(self, base: Base, trained: Trained) -> ModelFile:
        """The embedding in the form that ComfyUI, the WebUIs and diffusers read (see `embedding_tensors`)."""
        tensors = embedding_tensors(type(base), {name: own[VECTORS] for name, own in trained.items()}, self._word)
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
        return ModelFile(tensors, "embedding", lambda found, name: require_same(found, name, shapes))

    def components(self, base: Base, options: TrainOptions) -> dict[str, nn.Module]:
        """The denoiser and every text encoder: all compute in every step."""
        return {"denoiser": base.denoiser, **base.text_encoders}

    def parameter_groups(self, base: Base, options: TrainOptions) -> list[dict[str, Any]]:
        """One group of the word's vectors, with the learning rate."""
        return [{"params": [*word_parameters(base, self._word).values()], "lr": options.learning_rate}]

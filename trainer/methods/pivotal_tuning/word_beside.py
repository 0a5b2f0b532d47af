"""A word beside weights: the vectors of the new identifier are trained in the first steps, and the weights of another
method in all of them (pivotal tuning).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ...model.base import Base
from ...model.word_embedding import table_deviation, word_parameters
from ...options import TrainOptions
from ..protocol import Method, ModelFile, Trained
from ..textual_inversion.file import embedding_tensors
from ..textual_inversion.word import VECTORS, TextualInversion

DRAWN_BACK = 0.1
"""The power of (deviation of the table) / (deviation of the vectors) by which vectors are multiplied after every step,
as diffusers' train_dreambooth_lora_sd15_advanced.py does.
"""


def steps_of_word(options: TrainOptions) -> int:
    """The number of steps in which the vectors are trained."""
    return math.ceil(options.word_share * options.steps)


class WordBeside(Method[Base]):
    """The vectors of one new word beside another method of weights. Name, folder and all else of a result are those of
    that method, and its file has the word's vectors beside it.
    """

    def __init__(self, weights: Method[Any], word: str, class_noun: str) -> None:
        """weights: the other method. word: the new word, as prompts have it. class_noun: whose vectors it starts from,
        where the options name no other.
        """
        self._weights, self._word = weights, TextualInversion(word, class_noun)
        self._said = word
        # Of the class, for those who look at a method.
        self.name, self.folder = weights.name, weights.folder  # type: ignore[misc]
        self.keeps_base, self.warnings = weights.keeps_base, weights.warnings  # type: ignore[misc]

    def add_words(self, base: Base, options: TrainOptions) -> None:
        """Add the word with the vectors that it starts from (see `TextualInversion.add_words`)."""
        self._word.add_words(base, options)

    def attach(self, base: Base, options: TrainOptions) -> None:
        """Attach the other method, and make the word's vectors require gradients."""
        self._weights.attach(base, options)
        self._word.attach(base, options)

    def trained(self, base: Base) -> dict[str, dict[str, torch.Tensor]]:
        """The other method's weights, and {text encoder: {VECTORS: the word's vectors}} among them."""
        found = {name: dict(own) for name, own in self._weights.trained(base).items()}
        for name, own in self._word.trained(base).items():
            found.setdefault(name, {}).update(own)
        return found

    @contextmanager
    def untrained(self, base: Base) -> Iterator[Any]:
        """The other method's; prompts without the word are the base's."""
        with self._weights.untrained(base) as before:
            yield before

    def squared_change(self, base: Base, by_factors: bool) -> torch.Tensor:
        """The other method's."""
        return self._weights.squared_change(base, by_factors)

    def file(self, base: Base, trained: Trained) -> ModelFile:
        """The other method's file, with the word beside it."""
        rest = {name: {key: one for key, one in own.items() if key != VECTORS} for name, own in trained.items()}
        weights = self._weights.file(base, {name: own for name, own in rest.items() if own})
        vectors = {name: own[VECTORS] for name, own in trained.items() if VECTORS in own}
        return replace(weights, word=embedding_tensors(type(base), vectors, self._said))

    def components(self, base: Base, options: TrainOptions) -> dict[str, nn.Module]:
        """The other method's components and every text encoder."""
        return {**self._weights.components(base, options), **base.text_encoders}

    def parameter_groups(self, base: Base, options: TrainOptions) -> list[dict[str, Any]]:
        """The other method's groups, and one of the word's vectors with a rate of their own."""
        vectors = [*word_parameters(base, self._said).values()]
        own = {id(vector) for vector in vectors}
        groups = [
            {**group, "params": [one for one in group["params"] if id(one) not in own]}
            for group in self._weights.parameter_groups(base, options)
        ]
        return [*(group for group in groups if group["params"]), {"params": vectors, "lr": options.word_learning_rate}]

    def before_update(self, base: Base, options: TrainOptions, index: int) -> None:
        """Drop the vectors' gradients once their share of the steps is over."""
        if index >= steps_of_word(options):
            for vectors in word_parameters(base, self._said).values():
                vectors.grad = None

    @torch.no_grad()
    def after_update(self, base: Base, options: TrainOptions, index: int) -> None:
        """Draw the vectors back towards the deviation of the table, while they are trained."""
        if index < steps_of_word(options):
            for name, vectors in word_parameters(base, self._said).items():
                vectors.mul_((table_deviation(base, name) / vectors.std()) ** DRAWN_BACK)

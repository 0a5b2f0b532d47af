"""Prompts with a predicted word: another word in every row of a batch, through which gradients flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.base import Base, Conditioning
from ..model.word_embedding import WordError, token_vectors
from ..prompts import IDENTIFIER_MARK


class Prompted(Protocol):
    """A denoiser that is prompted with predicted words, as training needs it."""

    def nouns(self, nouns: Sequence[str]) -> dict[str, Tensor]:
        """{text encoder: the vector of each class noun [B, width]}."""

    def conditioning(self, prompts: Sequence[str], words: Mapping[str, Tensor]) -> Conditioning:
        """The conditioning of prompts in which [V] is the row's own word. words: {text encoder: [B, k, width]}."""

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The denoiser's prediction."""


class RowWords(nn.Module):
    """A token embedding table [V, width] with other words in every row: token id V + i is the i-th vector of the row's
    word. rows [B, k, width] are set before a forward of token ids [B·m, L].
    """

    def __init__(self, table: nn.Module) -> None:
        super().__init__()
        assert isinstance(table.weight, Tensor)
        self.table = table
        self.size = len(table.weight)
        self.rows: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        """The table's own rows."""
        found = self.table.weight
        assert isinstance(found, Tensor)
        return found

    def forward(self, token_ids: Tensor) -> Tensor:
        """The embeddings [B·m, L, width]."""
        known: Tensor = F.embedding(token_ids.clamp(max=self.size - 1), self.weight)
        if self.rows is None:
            return known
        rows = self.rows.repeat_interleave(len(token_ids) // len(self.rows), 0)
        places = (token_ids - self.size).clamp(min=0)
        new = rows.gather(1, places.unsqueeze(-1).expand(-1, -1, rows.shape[-1]))
        return torch.where((token_ids >= self.size).unsqueeze(-1), new.to(known.dtype), known)


class BasePrompts:
    """`Prompted` of a base, whose text encoders take the words of rows from now on. Raises WordError for a base that
    takes no words.
    """

    def __init__(self, base: Base, vectors: int) -> None:
        if not base.takes_words:
            raise WordError(f"A base of the family {base.family!r} takes no new words.")
        self._base, self._tables = base, dict[str, RowWords]()
        for name, encoder in base.text_encoders.items():
            self._tables[name] = RowWords(encoder.get_input_embeddings())
            encoder.set_input_embeddings(self._tables[name])
        (first,) = {table.size for table in self._tables.values()}
        base.words[IDENTIFIER_MARK.lower()] = tuple(range(first, first + vectors))

    def nouns(self, nouns: Sequence[str]) -> dict[str, Tensor]:
        """The vectors of the nouns' last tokens."""
        found = [noun_vectors(self._base, noun) for noun in nouns]
        return {name: torch.stack([one[name] for one in found]) for name in self._tables}

    def conditioning(self, prompts: Sequence[str], words: Mapping[str, Tensor]) -> Conditioning:
        """The text encoders' answers to the prompts."""
        for name, table in self._tables.items():
            table.rows = words[name]
        try:
            return self._base.encode_tokens(self._base.tokenize(prompts).to(self._base.device))
        finally:
            for table in self._tables.values():
                table.rows = None

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The base's prediction."""
        return self._base.predict(noisy, timesteps, conditioning)


def noun_vectors(base: Base, noun: str) -> dict[str, Tensor]:
    """{text encoder: the vector [width] of a noun's last token}. Raises WordError for a noun without tokens."""
    return {name: rows[0] for name, rows in token_vectors(base, noun, 1).items()}

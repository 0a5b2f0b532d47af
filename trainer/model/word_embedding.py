"""New words of a text encoder: rows behind the rows of its token embedding table (Gal et al., ICLR 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from .base import Base

WordVectors = Mapping[str, Tensor]
"""{text encoder: the vectors [n, width] of one word}; n is the same in every text encoder."""


class WordError(ValueError):
    """A word that cannot be added to a model; the message says why."""


class WordEmbedding(nn.Module):
    """A token embedding table [V, width] with the vectors of new words behind it: token id V + i is the i-th of them.

    The table is the one that was given, in another module under the same name, so that its rows stay as they are.
    added: the vectors of each word, [n, width], float32.
    """

    def __init__(self, table: nn.Module) -> None:
        super().__init__()
        assert isinstance(table.weight, nn.Parameter)
        self.weight = table.weight
        self.added = nn.ParameterList()

    @property
    def rows(self) -> int:
        """The number of token ids, new ones among them."""
        return len(self.weight) + sum(len(vectors) for vectors in self.added)

    def forward(self, token_ids: Tensor) -> Tensor:
        """The embeddings [..., width] of token ids [...]."""
        size = len(self.weight)
        known = F.embedding(token_ids.clamp(max=size - 1), self.weight)
        new = F.embedding((token_ids - size).clamp(min=0), torch.cat([*self.added]))
        return torch.where((token_ids >= size).unsqueeze(-1), new.to(known.dtype), known)


def add_word(base: Base, word: str, vectors: WordVectors) -> None:
    """Add a word to a base: from now on its prompts' tokens for `word` are the new vectors.

    Raises WordError for a base that takes no words, a word that was added already, and vectors that do not fit the
    base's text encoders.
    """
    if not base.takes_words:
        raise WordError(f"A base of the family {base.family!r} takes no new words.")
    if word.lower() in base.words:
        raise WordError(f"The word {word!r} exists already: give the new one another name.")
    _require_fitting(base, word, vectors)
    embeddings = {name: _word_embedding(base.text_encoders[name]) for name in vectors}
    (first,) = {embedding.rows for embedding in embeddings.values()}
    for name, rows in vectors.items():
        embeddings[name].added.append(nn.Parameter(rows.detach().float().clone(), requires_grad=False))
    base.words[word.lower()] = tuple(range(first, first + len(rows)))


def word_parameters(base: Base, word: str) -> dict[str, nn.Parameter]:
    """{text encoder: the vectors of a word that was added}, themselves. Raises KeyError for another word."""
    place = {known: index for index, known in enumerate(base.words)}[word.lower()]
    return {name: embedding.added[place] for name, embedding in _embeddings(base)}


def table_deviation(base: Base, component: str) -> Tensor:
    """The standard deviation of all numbers in a text encoder's own table of token embeddings; a scalar."""
    found: Tensor = base.text_encoders[component].get_input_embeddings().weight.float().std()
    return found


def widths(base: Base) -> dict[str, int]:
    """{text encoder: the width of its token embeddings}."""
    return {name: encoder.get_input_embeddings().weight.shape[1] for name, encoder in base.text_encoders.items()}


def token_vectors(base: Base, text: str, count: int) -> dict[str, Tensor]:
    """{text encoder: `count` vectors [count, width] of the tokens of `text`}: the last ones of a longer text, and a
    shorter one's repeated in turn. Raises WordError for a text without tokens.
    """
    ids = base.tokenizer(text, add_special_tokens=False).input_ids
    if not ids:
        raise WordError(f"{text!r} holds no word to start from.")
    chosen = ids[-count:] if len(ids) >= count else [ids[i % len(ids)] for i in range(count)]
    tables = {name: encoder.get_input_embeddings().weight for name, encoder in base.text_encoders.items()}
    return {name: table[torch.tensor(chosen, device=table.device)].detach().float() for name, table in tables.items()}


def _require_fitting(base: Base, word: str, vectors: WordVectors) -> None:
    """Raises WordError where there are not as many vectors, one or more, of each text encoder's width."""
    wanted, found = widths(base), {name: tuple(rows.shape) for name, rows in vectors.items()}
    fits = found.keys() == wanted.keys() and all(
        len(shape) == 2 and shape[0] > 0 and shape[1] == wanted[name] for name, shape in found.items()
    )
    if not fits or len({shape[0] for shape in found.values()}) != 1:
        raise WordError(
            f"The vectors of {word!r} are {_listed(found)}; this base takes "
            f"{_listed({name: ('n', width) for name, width in wanted.items()})}."
        )


def _listed(shapes: Mapping[str, tuple[Any, ...]]) -> str:
    """Shapes by text encoder, for messages."""
    return ", ".join(f"{name} [{', '.join(map(str, shape))}]" for name, shape in shapes.items())


def _word_embedding(encoder: Any) -> WordEmbedding:
    """The text encoder's token embedding, which takes new words from now on."""
    table = encoder.get_input_embeddings()
    if not isinstance(table, WordEmbedding):
        table = WordEmbedding(table)
        encoder.set_input_embeddings(table)
    return table


def _embeddings(base: Base) -> Iterator[tuple[str, WordEmbedding]]:
    """(text encoder, its token embedding) of those that have new words."""
    for name, encoder in base.text_encoders.items():
        table = encoder.get_input_embeddings()
        if isinstance(table, WordEmbedding):
            yield name, table

"""Warnings about an identifier that the user chose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .rare_tokens import ClipVocabulary, Tokenizer, Vocabulary

_MOST_TOKENS = 3
"""The longest identifier that is not warned about; the paper's k is 1 to 3."""
_SHORTEST_HASHTAG = 4
"""A single token of so many letters is likely a word or a hashtag."""
_WEAPONS = {
    "sks": "SKS is a rifle, and weapons turn up in the pictures",
    "fal": "the FAL is a rifle, and weapons turn up in the pictures",
    "stg": "the StG 44 is a rifle, and weapons turn up in the pictures",
    "awp": "AWP is a rifle, and weapons turn up in the pictures",
    "smg": "SMG is short for submachine gun, and weapons turn up in the pictures",
}
"""{identifier in common use: the reason against it}."""
_WAY_OUT = "one that is picked for you means nothing"


def warnings_for(
    identifier: str, tokenizer: Tokenizer, kind: type[Vocabulary] | None = ClipVocabulary
) -> tuple[str, ...]:
    """Reasons to choose another identifier, each one sentence; () if none is known.

    They are advice only: training with such an identifier works. kind: None means that nothing is known about the
    tokenizer, so there are no warnings. Raises ValueError for an empty identifier, and for a tokenizer of another kind
    than `kind`.
    """
    return warnings_in(identifier, [] if kind is None else [kind(tokenizer)])


def warnings_in(identifier: str, vocabularies: Sequence[Vocabulary]) -> tuple[str, ...]:
    """The same for a model that reads prompts by several tokenizers. Raises ValueError for an empty identifier."""
    words = identifier.split()
    if not words:
        raise ValueError(f"identifier {identifier!r} is empty: give a rare word; {_WAY_OUT}")
    found: list[str] = []
    for vocabulary in vocabularies:
        found.extend(_spelling(identifier, words, vocabulary))
        for word in words:
            found.extend(_meaning(word.lower() if vocabulary.lowercases else word, vocabulary))
    sentences = (f"identifier {identifier!r}: {reason}; {_WAY_OUT}" for reason in found)
    return tuple(dict.fromkeys(sentences))


def _spelling(identifier: str, words: list[str], vocabulary: Vocabulary) -> Iterator[str]:
    """Reasons that follow from the identifier's characters."""
    name = vocabulary.name
    if len(words) > 1:
        yield f"it holds spaces, so it is read as {len(words)} words"
    if any(character.isdigit() for character in identifier):
        yield f"it holds digits, which {name} reads one by one and the model may draw"
    if re.search(r"[^\w\s]|_", identifier):
        yield f"it holds punctuation, which {name} splits off"
    if not identifier.isascii():
        yield f"it holds letters outside a to z, which {name} splits into bytes"
    if vocabulary.lowercases and identifier != identifier.lower():
        yield f"{name} reads capitals as small letters, so it is the same as {identifier.lower()!r}"


def _meaning(word: str, vocabulary: Vocabulary) -> Iterator[str]:
    """Reasons that follow from one word's meaning and tokens."""
    pieces = [piece for piece in map(vocabulary.piece, vocabulary.word_ids(word)) if piece]
    if word.lower() in _WEAPONS:
        yield _WEAPONS[word.lower()]
    elif vocabulary.is_word(word) or vocabulary.is_word(word.lower()):
        yield f"{word!r} is a word or name that the model knows"
    elif len(pieces) == 1 and len(word) >= _SHORTEST_HASHTAG:
        yield f"{word!r} is one token of {len(word)} letters, as words and hashtags are"
    if not (word.isascii() and word.isalpha()):
        return
    if len(pieces) > 1 and any(len(piece) == 1 for piece in pieces):
        yield f"{word!r} splits into letters ({' + '.join(pieces)}), which the model may draw"
    elif len(pieces) > _MOST_TOKENS:
        yield f"{word!r} splits into {len(pieces)} tokens ({' + '.join(pieces)}), more than 3"

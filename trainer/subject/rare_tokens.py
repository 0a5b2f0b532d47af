"""CLIP's rare tokens without a meaning, which identifiers are made of.

CLIP's vocabulary holds 512 single characters (256 bytes, each also with the end-of-word mark `</w>`) and then its
merges, the most frequent first, so `id - 512` is a merge rank. The rank follows from pair counts at the time of merging
in the tokenizer's own corpus, not from word frequencies: near the end it mixes whole words ("fumble", 48,861) with
meaningless strings ("olt", 45,740). Tokens of at most three letters do get rarer with the rank: their median frequency
in everyday English (Zipf scale of the `wordfreq` data: 3 is once in a million words) falls 3.98, 3.61, 3.39, 3.25,
3.03, 2.88, 2.83, 2.75, 2.65 over the first nine blocks of 4,000 ranks and is level (2.46 to 2.58) from 36,000 on, where
no such token reaches 3.5. Hence `RARE_FROM`, CLIP's counterpart of the paper's range 5,000 to 10,000 of T5-XXL
(DreamBooth, section 3.2).
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

RARE_FROM = 36_000
"""The merge rank from which a token is rare."""
FIRST_MERGE_ID = 512
"""The id of the first merge, whose rank is 0."""
END_OF_WORD = "</w>"
"""The mark of tokens that end a word in CLIP's vocabulary."""

_RARE_LETTERS = re.compile(r"[a-z]{2,3}")
"""The tokens that identifiers are made of."""


class Tokenizer(Protocol):
    """The interface of CLIP's tokenizer in `transformers` 4.46 to 5, and so of the host's own."""

    def get_vocab(self) -> dict[str, int]: ...

    def __call__(self, text: Any, *, add_special_tokens: bool) -> Any: ...


class Vocabulary(Protocol):
    """The tokens of one kind of tokenizer, ranked by how common they are."""

    def __init__(self, tokenizer: Tokenizer) -> None: ...

    def rank(self, token_id: int) -> int:
        """The token's rank; 0 for the most common token."""

    def piece(self, token_id: int) -> str:
        """The token's text, without end-of-word marks."""

    def is_word(self, text: str) -> bool:
        """Whether `text` is a word or has another meaning."""

    def rare_ids(self, *, ends_word: bool) -> list[int]:
        """The ids, ascending, of rare tokens without a meaning: those that end a word, or else those that must be
        continued.
        """


@lru_cache(maxsize=1)
def known_words() -> frozenset[str]:
    """Short strings that have a meaning although their merge rank is rare."""
    text = Path(__file__).with_name("known_words.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(word for line in lines for word in line.split())


def encode(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """The token ids of `text`, without the start and end tokens."""
    return tuple(tokenizer(text, add_special_tokens=False).input_ids)


class ClipVocabulary:
    """The ranks, token texts and words of one CLIP tokenizer. Raises ValueError for any other kind of tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._ids = tokenizer.get_vocab()
        self._tokens = {index: token for token, index in self._ids.items()}
        if self._ids.get(f"a{END_OF_WORD}", FIRST_MERGE_ID) >= FIRST_MERGE_ID:
            raise ValueError(
                f"the tokenizer ({type(tokenizer).__name__}, {len(self._ids)} tokens) is not "
                "CLIP's, whose merge ranks tell rare tokens: give the identifier by hand"
            )

    def rank(self, token_id: int) -> int:
        """The merge rank: 0 for the first merge, negative for a single character."""
        return token_id - FIRST_MERGE_ID

    def piece(self, token_id: int) -> str:
        """The token's text without its end-of-word mark."""
        return self._tokens[token_id].removesuffix(END_OF_WORD)

    def is_common(self, word: str) -> bool:
        """Whether `word` is a single token of a common rank: a word, a name or an abbreviation."""
        whole = self._ids.get(word + END_OF_WORD)
        return whole is not None and self.rank(whole) < RARE_FROM

    def is_word(self, text: str) -> bool:
        """Whether `text` is a common token or one of `known_words`."""
        return self.is_common(text) or text in known_words()

    def rare_ids(self, *, ends_word: bool) -> list[int]:
        """The ids, ascending, of tokens from `RARE_FROM` on that are two or three letters a to z and no word.

        ends_word: True for tokens that close a word, the only ones an identifier may end with; False for those that
        must be continued.
        """
        return sorted(
            index
            for token, index in self._ids.items()
            if self.rank(index) >= RARE_FROM
            and token.endswith(END_OF_WORD) is ends_word
            and _RARE_LETTERS.fullmatch(self.piece(index))
            and not self.is_word(self.piece(index))
        )

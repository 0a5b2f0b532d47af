"""Which of CLIP's tokens are rare and mean nothing: the raw material of identifiers.

CLIP's vocabulary holds 512 single characters (256 bytes, each also with the end-of-word mark
`</w>`) and then its merges, the most frequent first, so `id - 512` is a merge rank. The rank is a
count of pairs at the time of merging in the tokenizer's own corpus, not a word frequency: near the
end it mixes whole words ("fumble", 48,861) with strings nobody means ("olt", 45,740).
Tokens of at most three letters do get rarer with the rank: their median frequency in everyday
English (Zipf scale of the `wordfreq` data: 3 is once in a million words) falls 3.98, 3.61, 3.39,
3.25, 3.03, 2.88, 2.83, 2.75, 2.65 over the first nine blocks of 4,000 ranks and is level (2.46 to
2.58) from 36,000 on, where no such token reaches 3.5. Hence `RARE_FROM`, CLIP's counterpart of the
paper's range 5,000 to 10,000 of T5-XXL (DreamBooth, section 3.2).
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

RARE_FROM = 36_000
FIRST_MERGE_ID = 512
END_OF_WORD = "</w>"

_RARE_LETTERS = re.compile(r"[a-z]{2,3}")


class Tokenizer(Protocol):
    """CLIP's tokenizer as `transformers` 4.46 to 5 make it, and so the host's own."""

    def get_vocab(self) -> dict[str, int]: ...

    def __call__(self, text: Any, *, add_special_tokens: bool) -> Any: ...


class Vocabulary(Protocol):
    """The tokens of one kind of tokenizer, by how common they are."""

    def __init__(self, tokenizer: Tokenizer) -> None: ...

    def rank(self, token_id: int) -> int:
        """0 for the most common token."""

    def piece(self, token_id: int) -> str:
        """The token's text, without marks."""

    def is_word(self, text: str) -> bool:
        """Whether `text` means something."""

    def rare_ids(self, *, ends_word: bool) -> list[int]:
        """Ids, ascending, of rare tokens that mean nothing, and that end a word or must be continued."""


@lru_cache(maxsize=1)
def known_words() -> frozenset[str]:
    """Short strings with a meaning that their merge rank does not give away."""
    text = Path(__file__).with_name("known_words.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(word for line in lines for word in line.split())


def encode(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """Token ids of `text`, without the start and end marks."""
    return tuple(tokenizer(text, add_special_tokens=False).input_ids)


class ClipVocabulary:
    """Ranks, pieces and words of one CLIP tokenizer. Raises ValueError for any other kind."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._ids = tokenizer.get_vocab()
        self._tokens = {index: token for token, index in self._ids.items()}
        if self._ids.get(f"a{END_OF_WORD}", FIRST_MERGE_ID) >= FIRST_MERGE_ID:
            raise ValueError(
                f"the tokenizer ({type(tokenizer).__name__}, {len(self._ids)} tokens) is not "
                "CLIP's, whose merge ranks tell rare tokens: give the identifier by hand"
            )

    def rank(self, token_id: int) -> int:
        """Merge rank, 0 for the first merge; negative for a single character."""
        return token_id - FIRST_MERGE_ID

    def piece(self, token_id: int) -> str:
        """The token's text without its end-of-word mark."""
        return self._tokens[token_id].removesuffix(END_OF_WORD)

    def is_common(self, word: str) -> bool:
        """Whether `word` is one whole token of a common rank: a word, a name, an abbreviation."""
        whole = self._ids.get(word + END_OF_WORD)
        return whole is not None and self.rank(whole) < RARE_FROM

    def is_word(self, text: str) -> bool:
        return self.is_common(text) or text in known_words()

    def rare_ids(self, *, ends_word: bool) -> list[int]:
        """Ids, ascending, of rare tokens of two or three letters a to z which are no word.

        A token is rare from `RARE_FROM` on. `ends_word` asks for tokens that close a word, the
        only ones an identifier may end with, or for those that must be continued.
        """
        return sorted(
            index
            for token, index in self._ids.items()
            if self.rank(index) >= RARE_FROM
            and token.endswith(END_OF_WORD) is ends_word
            and _RARE_LETTERS.fullmatch(self.piece(index))
            and not self.is_word(self.piece(index))
        )

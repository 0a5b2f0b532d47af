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
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
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


class Vocabulary(ABC):
    """The tokens of one tokenizer, ranked by how common they are: a token is rare from the rank `rare_from` on.

    name: of the kind of tokenizer, for people. lowercases: whether capitals are read as small letters.
    """

    name: str
    lowercases: bool
    rare_from: int
    drawn_from: str
    """The range that identifiers are drawn from, in words."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.ids = tokenizer.get_vocab()
        self.tokens = {index: token for token, index in self.ids.items()}

    @abstractmethod
    def rank(self, token_id: int) -> int:
        """The token's rank; 0 for the most common token."""

    @abstractmethod
    def piece(self, token_id: int) -> str:
        """The token's text, without the mark at a word's start or end."""

    @abstractmethod
    def whole(self, word: str) -> str:
        """The name in the vocabulary of the token that is this whole word."""

    @abstractmethod
    def urns(self, length: int) -> list[list[int]]:
        """For each place of an identifier of so many tokens the ids, ascending, that it is drawn from: rare tokens of
        two or three letters a to z that are no word.
        """

    def word_ids(self, word: str) -> tuple[int, ...]:
        """The token ids of a word in "a X dog"; () where they do not stand apart from those of its neighbours."""
        around, inside = encode(self.tokenizer, "a dog"), encode(self.tokenizer, f"a {word} dog")
        for before in range(len(around), -1, -1):
            after = len(inside) - (len(around) - before)
            if after > before and inside[:before] == around[:before] and inside[after:] == around[before:]:
                return inside[before:after]
        return ()

    def spells(self, ids: tuple[int, ...]) -> bool:
        """Whether the text of these tokens is read as these tokens in a prompt."""
        return self.word_ids("".join(map(self.piece, ids))) == ids

    def is_common(self, word: str) -> bool:
        """Whether `word` is a single token of a common rank: a word, a name or an abbreviation."""
        whole = self.ids.get(self.whole(word))
        return whole is not None and self.rank(whole) < self.rare_from

    def is_word(self, text: str) -> bool:
        """Whether `text` is a common token or one of `known_words`."""
        return self.is_common(text) or text in known_words()

    def is_rare(self, word: str) -> bool:
        """Whether a word is none that is known, and made of rare tokens of two letters or more."""
        ids = [index for index in self.word_ids(word) if self.piece(index)]
        rare = all(self.rank(index) >= self.rare_from and len(self.piece(index)) > 1 for index in ids)
        return bool(ids) and rare and not self.is_word(word)

    def rare_ids(self, is_of: Callable[[str], bool]) -> list[int]:
        """The ids, ascending, of rare tokens. is_of: which names in the vocabulary to choose from."""
        return [index for index in self._rare if is_of(self.tokens[index])]

    @cached_property
    def _rare(self) -> list[int]:
        """The ids, ascending, of rare tokens of two or three letters a to z that are no word."""
        return sorted(
            index
            for index in self.tokens
            if self.is_in_range(index)
            and _RARE_LETTERS.fullmatch(self.piece(index))
            and not self.is_word(self.piece(index))
        )

    def is_in_range(self, token_id: int) -> bool:
        """Whether identifiers are drawn from tokens of this rank."""
        return self.rank(token_id) >= self.rare_from


@lru_cache(maxsize=1)
def known_words() -> frozenset[str]:
    """Short strings that have a meaning although their merge rank is rare."""
    text = Path(__file__).with_name("known_words.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(word for line in lines for word in line.split())


def encode(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """The token ids of `text`, without the start and end tokens."""
    return tuple(tokenizer(text, add_special_tokens=False).input_ids)


class ClipVocabulary(Vocabulary):
    """The ranks, token texts and words of one CLIP tokenizer. Raises ValueError for any other kind of tokenizer."""

    name = "CLIP"
    lowercases = True
    rare_from = RARE_FROM
    drawn_from = f"CLIP's merge ranks {RARE_FROM} and up"

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        if not is_clips(self.ids):
            raise ValueError(
                f"the tokenizer ({type(tokenizer).__name__}, {len(self.ids)} tokens) is not "
                "CLIP's, whose merge ranks tell rare tokens: give the identifier by hand"
            )

    def rank(self, token_id: int) -> int:
        """The merge rank: 0 for the first merge, negative for a single character."""
        return token_id - FIRST_MERGE_ID

    def piece(self, token_id: int) -> str:
        """The token's text without its end-of-word mark."""
        return self.tokens[token_id].removesuffix(END_OF_WORD)

    def whole(self, word: str) -> str:
        """The word with the end-of-word mark."""
        return word + END_OF_WORD

    def urns(self, length: int) -> list[list[int]]:
        """Tokens that must be continued, and at the end one that closes the word."""
        inside = self.rare_ids(lambda token: not token.endswith(END_OF_WORD))
        # One list, from which several places are drawn without replacement.
        return [inside] * (length - 1) + [self.rare_ids(lambda token: token.endswith(END_OF_WORD))]

    def spells(self, ids: tuple[int, ...]) -> bool:
        """Whether the text of these tokens is read as these tokens alone and in a prompt."""
        text = "".join(map(self.piece, ids))
        return encode(self.tokenizer, text) == ids and super().spells(ids)


def is_clips(ids: Mapping[str, int]) -> bool:
    """Whether a vocabulary {token: id} is CLIP's."""
    return ids.get(f"a{END_OF_WORD}", FIRST_MERGE_ID) < FIRST_MERGE_ID

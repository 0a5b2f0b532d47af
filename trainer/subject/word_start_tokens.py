"""Rare tokens of tokenizers that mark where a word starts: T5's, Qwen's, Llama's, Gemma's and others.

Their mark makes a word alone another token than the same word in a prompt, so a word is always read inside "a X dog".
"""

from __future__ import annotations

from collections.abc import Callable

from .rare_tokens import ClipVocabulary, Tokenizer, Vocabulary, encode, is_clips, known_words

STARTS = ("\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}", "\N{LOWER ONE EIGHTH BLOCK}")
"""The marks of tokens that start a word: of byte-level merges, and of SentencePiece."""
T5_RANGE = range(5_000, 10_000)
"""The ids of T5-XXL that the paper draws identifiers from (DreamBooth, section 3.2)."""
T5_SIZES = range(32_000, 32_129)
"""The sizes of that vocabulary, with and without its placeholders."""
RARE_SHARE = 80_000 / 151_643
"""The share of any other vocabulary after which its tokens are rare, measured on Qwen's, whose ids follow the order of
the merges: of the tokens that start a word with two or three letters, the share that CLIP's vocabulary has as common
words falls from 93% in the first tenth of the ids to 40% in the sixth, and stays there.
"""


class WordStartVocabulary(Vocabulary):
    """The tokens of a tokenizer that marks words' starts; a token's rank is its id.

    means: further words with a meaning, by another vocabulary.
    """

    lowercases = False

    def __init__(self, tokenizer: Tokenizer, means: Callable[[str], bool] = lambda text: text in known_words()) -> None:
        """Raises ValueError for a tokenizer without such marks."""
        super().__init__(tokenizer)
        self._means = means
        self.mark = _mark_of(self.ids)
        if not self.mark:
            raise ValueError(
                f"the tokenizer ({type(tokenizer).__name__}, {len(self.ids)} tokens) does not mark where words start: "
                "give the identifier by hand"
            )
        size = len(self.ids)
        is_t5 = size in T5_SIZES and self.ids.get(STARTS[1]) == 3
        self.range = T5_RANGE if is_t5 else range(round(RARE_SHARE * size), max(self.tokens) + 1)
        self.rare_from = self.range.start
        self.name = "T5" if is_t5 else "the text encoder"
        if is_t5:
            self.drawn_from = f"T5's ids {T5_RANGE.start} to {T5_RANGE.stop}"
        else:
            self.drawn_from = f"ids {self.rare_from} and up of the text encoder's {size} tokens"

    def rank(self, token_id: int) -> int:
        """The id: tokens are in the order of their merges, or of their frequencies."""
        return token_id

    def piece(self, token_id: int) -> str:
        """The token's text without the mark of a word's start."""
        return self.tokens[token_id].removeprefix(self.mark)

    def whole(self, word: str) -> str:
        """The word with the mark of its start."""
        return self.mark + word

    def is_word(self, text: str) -> bool:
        """Whether `text` is a common token, or has a meaning by another vocabulary."""
        return self.is_common(text) or self._means(text)

    def urns(self, length: int) -> list[list[int]]:
        """A token that starts a word, and tokens that continue one."""
        first = self.rare_ids(lambda token: token.startswith(self.mark))
        # One list, from which several places are drawn without replacement.
        return [first, *[self.rare_ids(lambda token: not token.startswith(self.mark))] * (length - 1)]

    def is_in_range(self, token_id: int) -> bool:
        """Whether the id is of the range that the names of this kind of tokenizer are drawn from."""
        return token_id in self.range


def vocabulary_of(
    tokenizer: Tokenizer, means: Callable[[str], bool] = lambda text: text in known_words()
) -> Vocabulary | None:
    """The vocabulary of a tokenizer of any kind whose tokens are ranked; None for one of bytes or of other marks, and
    for one that does not keep words apart.
    """
    ids = tokenizer.get_vocab()
    if is_clips(ids):
        return ClipVocabulary(tokenizer)
    mark = _mark_of(ids)
    apart = bool(mark) and encode(tokenizer, "a dog")[-1:] == (ids[f"{mark}dog"],)
    return WordStartVocabulary(tokenizer, means) if apart else None


def _mark_of(ids: dict[str, int]) -> str:
    """The mark of tokens that start a word; "" where there is none."""
    return next((mark for mark in STARTS if f"{mark}dog" in ids), "")

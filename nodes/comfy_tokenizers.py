"""The tokenizers inside the host's CLIP, of whatever kind, as the search for rare tokens reads them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ..trainer.subject.rare_tokens import ClipVocabulary, Vocabulary, is_clips
from ..trainer.subject.word_start_tokens import vocabulary_of


class HostTokenizer:
    """One of the tokenizers of a host's CLIP, with the interface of transformers' (see `Tokenizer`).

    Those of SentencePiece have another one, so ids are taken as the host takes them.
    """

    def __init__(self, part: Any) -> None:
        self._part = part
        self._ids = dict(part.tokenizer.get_vocab())

    def get_vocab(self) -> dict[str, int]:
        """{token: id}."""
        return self._ids

    def __call__(self, text: str, *, add_special_tokens: bool) -> Any:
        """An object with the `input_ids` of a text, without the start and end tokens."""
        end = -1 if getattr(self._part, "tokenizer_adds_end_token", self._part.end_token is not None) else None
        return SimpleNamespace(input_ids=self._part.tokenizer(text)["input_ids"][self._part.tokens_start : end])


def vocabularies(clip: Any) -> list[Vocabulary]:
    """The vocabularies of a CLIP whose tokens are ranked, each once, CLIP's own first; none of bytes, and none that
    does not keep words apart.
    """
    from ..trainer.model.families import clip_tokenizer

    parts = [HostTokenizer(part) for part in vars(clip.tokenizer).values() if hasattr(part, "tokens_start")]
    different: list[HostTokenizer] = []
    for part in parts:
        if not any(part.get_vocab() == other.get_vocab() for other in different):
            different.append(part)
    different.sort(key=lambda part: not is_clips(part.get_vocab()))
    # What is a word to CLIP is none that another tokenizer's model has not seen.
    means = ClipVocabulary(clip_tokenizer()).is_word
    found = (vocabulary_of(part, means) for part in different)
    return [one for one in found if one is not None]

"""Sentences that a page can say in another language."""

from __future__ import annotations


class Wording(str):
    """A text that knows the `sentence` that it was made from, with {0}, {1} … where its `values` stand.

    The sentence is the key that a page's tables of words go by.
    """

    sentence: str
    values: tuple[str, ...]

    def __new__(cls, sentence: str, *values: str) -> Wording:
        """The sentence with the values in it."""
        own = super().__new__(cls, sentence.format(*values) if values else sentence)
        own.sentence, own.values = sentence, values
        return own


def sentence_and_values(text: str) -> list[str]:
    """The sentence and its values, ready for JSON; a text that is no Wording is a sentence without values."""
    return [text.sentence, *text.values] if isinstance(text, Wording) else [text]

"""Messages that a web page can translate."""

from __future__ import annotations


class Wording(str):
    """A message that keeps the `sentence` it was made from, with {0}, {1} … in place of its `values`.

    The sentence is the key in a page's translation tables.
    """

    sentence: str
    values: tuple[str, ...]

    def __new__(cls, sentence: str, *values: str) -> Wording:
        """The message made of the sentence with the values inserted."""
        own = super().__new__(cls, sentence.format(*values) if values else sentence)
        own.sentence, own.values = sentence, values
        return own


def sentence_and_values(text: str) -> list[str]:
    """[sentence, *values] of a message, ready for JSON; a plain string is a sentence without values."""
    return [text.sentence, *text.values] if isinstance(text, Wording) else [text]

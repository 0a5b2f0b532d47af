"""Prompts that name a side or a text: their photos must not be mirrored."""

from __future__ import annotations

import re

_WORDS = (
    "left", "right", "leftmost", "rightmost", "clockwise", "counterclockwise", "mirrored", "text", "texts", "letter",
    "letters", "lettering", "word", "words", "writing", "written", "handwriting", "inscription", "sign", "signs",
    "signature", "logo", "logos", "label", "labels", "labelled", "labeled", "number", "numbers", "digit", "digits",
    "says", "saying", "reads", "reading", "watermark", "caption", "title", "speech bubble", "clock", "map",
)  # fmt: skip
NAMES_A_SIDE = re.compile(rf"(?<!\w)(?:{'|'.join(_WORDS)})(?!\w)|[“”\"]|[左右文字]", re.IGNORECASE)
"""Finds a word for a side or a text, a quotation, or such a word in Chinese and Japanese."""


def side_named(prompt: str) -> str | None:
    """The first word of a prompt that names a side or a text; None where it has none."""
    found = NAMES_A_SIDE.search(prompt)
    return None if found is None else found[0]

"""What is asked of a model that has learned a subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...toybase.captions import PHRASINGS
from ...toybase.judge_scorer import ANYWHERE_BUT
from ...toybase.palette import COLOURS, PLACES
from ...trainer.prompts import CLASS_MARK, IDENTIFIER_MARK

SEEDS = 4
Kind = Literal["one place", "two attributes", "no place", "two places"]
PAIRS = (
    ("beach", "night"),
    ("forest", "snow"),
    ("city", "snow"),
    ("road", "desert"),
    ("mountains", "night"),
    ("grass", "moon"),
)
"""Two places at once, which no scene of the world shows."""


@dataclass(frozen=True)
class Prompt:
    """A template with [V] and {class}; `text` is what a picture's prompt following is measured against. kind: what of
    the prompt a model may miss.
    """

    template: str
    kind: Kind = "one place"

    def text(self, class_noun: str, own_places: Sequence[str] = ()) -> str:
        """The prompt without the identifier, as the paper takes it for CLIP-T: "a dog on the beach".

        own_places: keys of the places of the subject's photos; a prompt of kind "no place" asks for none of these.
        """
        text = _joined(self.template.replace(IDENTIFIER_MARK, "").replace(CLASS_MARK, class_noun))
        avoided = ", ".join(PLACES[place] for place in own_places) if self.kind == "no place" else ""
        return f"{text}{ANYWHERE_BUT}{avoided}" if avoided else text

    def asked(self, identifier: str, class_noun: str) -> str:
        """The prompt as the model gets it; an empty identifier or noun leaves no gap."""
        return _joined(self.template.replace(IDENTIFIER_MARK, identifier).replace(CLASS_MARK, class_noun))


def toybase_prompts() -> list[Prompt]:
    """The subject at each of the world's twelve places."""
    return [Prompt(f"a {IDENTIFIER_MARK} {CLASS_MARK} {words}") for words in PLACES.values()]


def missable_prompts() -> list[Prompt]:
    """What a model that has learned a subject may miss: each of the world's colours at a place; no place, so that those
    of the photos must not come unasked, in every phrasing of the world's captions; and two places at once.
    """
    subject, places = f"{IDENTIFIER_MARK} {CLASS_MARK}", list(PLACES.values())
    coloured = [
        f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {subject} {places[2 * number % len(places)]}"
        for number, colour in enumerate(COLOURS)
    ]
    plain = [phrasing.format(subject) for phrasing in PHRASINGS]
    pairs = [f"a {subject} {PLACES[first]} {PLACES[second]}" for first, second in PAIRS]
    kinds: list[tuple[Kind, list[str]]] = [("two attributes", coloured), ("no place", plain), ("two places", pairs)]
    return [Prompt(template, kind) for kind, templates in kinds for template in templates]


def read_prompts(file: Path) -> list[Prompt]:
    """One template a line, such as `a [V] {class} in the jungle`. Raises ValueError for one that lacks a mark."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    for line in lines:
        if IDENTIFIER_MARK not in line or CLASS_MARK not in line:
            raise ValueError(f"{file.name}: {line!r} lacks {IDENTIFIER_MARK} or {CLASS_MARK}")
    if not lines:
        raise ValueError(f"{file.name} holds no prompt: write one a line, such as 'a [V] {{class}} in the jungle'")
    return [Prompt(line) for line in lines]


def _joined(text: str) -> str:
    return " ".join(text.split())

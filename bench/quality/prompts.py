"""What is asked of a model that has learned a subject."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...toybase.palette import PLACES
from ...trainer.prompts import CLASS_MARK, IDENTIFIER_MARK

SEEDS = 4


@dataclass(frozen=True)
class Prompt:
    """A template with [V] and {class}; `text` is what a picture's prompt following is measured against."""

    template: str

    def text(self, class_noun: str) -> str:
        """The prompt without the identifier, as the paper takes it for CLIP-T: "a dog on the beach"."""
        return _joined(self.template.replace(IDENTIFIER_MARK, "").replace(CLASS_MARK, class_noun))

    def asked(self, identifier: str, class_noun: str) -> str:
        """The prompt as the model gets it; an empty identifier or noun leaves no gap."""
        return _joined(self.template.replace(IDENTIFIER_MARK, identifier).replace(CLASS_MARK, class_noun))


def toybase_prompts() -> list[Prompt]:
    """The subject at each of the world's twelve places."""
    return [Prompt(f"a {IDENTIFIER_MARK} {CLASS_MARK} {words}") for words in PLACES.values()]


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

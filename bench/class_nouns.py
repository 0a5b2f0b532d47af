"""Suggested class nouns of the held-out subjects, by the embedded base: where the right one comes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..demo.example import SUBJECTS, cached_toybase
from ..toybase.known_nouns import other_pictures
from ..toybase.palette import NOUNS
from ..trainer.model.families import load_base
from ..trainer.sampling.noun_probe import suggest_nouns
from ..trainer.subject.class_nouns import SuggestedNoun
from ..trainer.subject.photos import read_folder

SIDE = 128
"""Pixels that the embedded base was trained at."""
BAR, AMONG = 10, 3
"""Of twelve subjects so many have to have the right noun among so many first ones."""


@dataclass(frozen=True)
class Asked:
    """One subject. noun: the right one. seconds: until the answer was there, loading left out."""

    name: str
    noun: str
    found: tuple[SuggestedNoun, ...]
    seconds: float

    @property
    def rank(self) -> int | None:
        """The place of the right noun, 1 for the first; None where it is not among those that are shown."""
        return next((place for place, one in enumerate(self.found, start=1) if one.noun == self.noun), None)


def measured(subjects: Sequence[str]) -> Iterator[Asked]:
    """The answers for these subjects of the embedded base's; all where none is named."""
    base = load_base(cached_toybase())
    listing = json.loads((SUBJECTS / "subjects.json").read_text(encoding="utf-8"))
    for name in subjects or listing:
        photos = read_folder(SUBJECTS / name, SIDE, SIDE)
        pictures, began = torch.stack([photo.pixels for photo in photos]), time.perf_counter()
        found = suggest_nouns(base, pictures, NOUNS, other_pictures(pictures))
        yield Asked(name, listing[name]["class_noun"], found, time.perf_counter() - began)


def table(answers: Sequence[Asked]) -> str:
    """The answers as lines of a table in Markdown, and whether they reach the bar."""
    lines = ["| subject | noun | place | first three | seconds |", "|---|---|---|---|---|"]
    for one in answers:
        first = ", ".join(f"{noun.noun} {noun.odds:.0%}" for noun in one.found[:AMONG])
        lines.append(f"| {one.name} | {one.noun} | {one.rank or '-'} | {first} | {one.seconds:.0f} |")
    ranks = [one.rank for one in answers if one.rank]
    among = sum(rank <= AMONG for rank in ranks)
    reached = "reached" if among >= BAR else "missed"
    said = (
        f"first for {ranks.count(1)}, among the first {AMONG} for {among} of {len(answers)}; bar {BAR} of 12: {reached}"
    )
    return "\n".join([*lines, "", said])

"""The class nouns that fit photos, by a base's own answer and, where a CLIP is named, by that first."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..toybase.known_nouns import known_nouns, other_pictures
from ..trainer.sampling.noun_probe import measurements, suggest_nouns
from ..trainer.subject.class_nouns import SHOWN, SuggestedNoun
from .base_model import BaseModel
from .progress import Bar

AUTO = "auto"
"""What --noun and --identifier say where the word is to be found for the user."""


def suggested(pictures: Tensor, base: BaseModel, clip: Path | None, bar: Bar) -> tuple[SuggestedNoun, ...]:
    """The nouns that fit pictures [N, 3, H, W] in 0..1 best, the best one first. clip: a folder with CLIP, which leaves
    SHOWN of them for the base to compare. Raises ValueError, FileNotFoundError.
    """
    nouns = known_nouns(base.live.weight_sample())
    if clip is not None:
        from ..trainer.scores.dino_clip import DinoClipScorer

        nouns = DinoClipScorer(None, clip).nearest_nouns(pictures, nouns)[:SHOWN]
    others = other_pictures(pictures)
    with bar(measurements(len(nouns), len(others)), "class nouns") as done:
        return suggest_nouns(base.live, pictures, nouns, others, done)

"""The scores of a model from a few fixed pictures: of the subject at places, and of its class."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..events import Scored
from .scorer import Scorer, returns_photo

PLACES = ("on the beach", "in the snow", "in the city", "in the forest")
"""What is put after the instance prompt; prompt following is measured against it."""
SEEDS = (1001, 1002)
"""The seeds of the pictures at each place, which no bench and no sample uses."""
CLASS_SEEDS = (2001, 2002, 2003, 2004)
"""The seeds of the pictures of the class."""
REFERENCE_SEEDS = (3001, 3002)
"""The seeds of the base's pictures at each place with which a scorer that reads no texts compares."""


def prompts_at_places(prompt: str) -> list[str]:
    """The prompt followed by each of PLACES."""
    return [f"{prompt} {place}" for place in PLACES]


def measure_scores(
    step: int, scorer: Scorer, of_subject: Tensor, texts: Sequence[str], of_class: Tensor, photos: Tensor
) -> Scored:
    """The scores after `step` steps. of_subject: pictures [B, 3, H, W] of the subject, the b-th of the b-th text, which
    does not hold the identifier. of_class: pictures of the class prompt.
    """
    returned = returns_photo(scorer, of_subject, photos)
    return Scored(
        step=step,
        likeness=_mean(scorer.likeness(of_subject, photos)),
        prompt_following=_mean(scorer.prompt_following(of_subject, texts)),
        class_leak=_mean(scorer.likeness(of_class, photos)),
        variety=_mean(scorer.variety(of_class)),
        returns_photo=None if returned is None else _mean(returned),
    )


def _mean(values: Tensor) -> float:
    return float(values.double().mean())

"""Scores that choose the best step and end the training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..setting import field_of

setting = partial(field_of, "scores")


@dataclass(frozen=True, kw_only=True)
class ScoreFields:
    """Scores that choose the best step and end the training. See `TrainOptions`."""

    score_every: int = setting(
        0,
        "Steps between scores (likeness, prompt following, class leak, variety), by which the best step becomes the "
        "result; 0: none, and the last step is the result.",
        0,
        added_later=True,
    )
    early_stop: int = setting(
        0,
        "Scores in a row without more likeness after which the training ends; 0 trains all steps.",
        0,
        widget_maximum=1000,
        added_later=True,
    )

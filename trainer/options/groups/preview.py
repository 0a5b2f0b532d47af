"""States, files and samples while it trains; none changes the weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..setting import field_of

setting = partial(field_of, "preview")


@dataclass(frozen=True, kw_only=True)
class PreviewFields:
    """States, files and samples while it trains; none changes the weights. See `TrainOptions`."""

    state_seconds: float = setting(
        30.0,
        "Seconds between states that a run can be resumed from; 0 keeps none.",
        0,
        widget_maximum=86_400,
        step=1,
        changes_weights=False,
    )
    save_every: int = setting(
        0, "Steps between files to choose the best from; 0 saves the last only.", 0, changes_weights=False
    )
    sample_every: int = setting(
        0, "Steps between sample pictures; 0 draws them at the end only.", 0, changes_weights=False
    )
    sample_prompt: str = setting(
        "", "Empty: the instance prompt. [V] and {class} are filled in.", changes_weights=False
    )
    sample_count: int = setting(2, "Pictures of a sample, 0 or more.", 0, widget_maximum=16, changes_weights=False)

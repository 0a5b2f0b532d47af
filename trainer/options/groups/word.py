"""The new word of textual inversion and of pivotal tuning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..choices import WORD_METHODS, Contexts
from ..setting import field_of

setting = partial(field_of, "word")


@dataclass(frozen=True, kw_only=True)
class WordFields:
    """The new word of textual inversion and of pivotal tuning. See `TrainOptions`."""

    vectors: int = setting(
        1,
        "textual_inversion, word_share: token vectors of the new word, 1 to 8; more hold more detail.",
        1,
        maximum=8,
        methods=WORD_METHODS,
    )
    start_word: str = setting(
        "",
        "textual_inversion, word_share: the word whose vectors it starts from. Empty: the class noun.",
        methods=WORD_METHODS,
    )
    word_share: float = setting(
        0.0,
        "lora, dora, lokr, lidb, full: the share of the steps, at their start, in which the identifier is learned as a "
        "new word as well (pivotal tuning), 0 to 1, often 0.5; the result is two files. 0: none.",
        0,
        maximum=1,
        step=0.05,
        added_later=True,
    )
    word_learning_rate: float = setting(
        2e-3,
        "Of that word's vectors, above 0.",
        0,
        open_minimum=True,
        widget_maximum=1,
        step=1e-6,
        added_later=True,
    )
    contexts: Contexts = setting(
        "object",
        "textual_inversion: prompts around the word. object, style: the paper's; plain: 'a [V]' alone.",
        methods=WORD_METHODS,
    )

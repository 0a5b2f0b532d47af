"""Every option out of its range, and of another kind."""

from __future__ import annotations

import math
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ....trainer.options import CHOICES, TrainOptions
from ....trainer.prompts import PromptTemplates
from ..setting import Setting
from .judging import Verdicts, accepted_or_refused, examples, refused

WHOLE = {
    **dict.fromkeys(("steps", "batch_size", "accumulation", "rank"), 0),
    **dict.fromkeys(("seed", "warmup_steps", "save_every", "sample_every", "sample_count"), -1),
}
NUMBERS = {
    **dict.fromkeys(("learning_rate", "max_grad_norm", "alpha", "text_encoder_learning_rate", "snr_gamma"), 0),
    **dict.fromkeys(("prior_weight", "weight_decay", "state_seconds"), -1e-9),
}
TEMPLATES: tuple[tuple[str, str], ...] = (
    ("a photo", "a {class}"), ("a {class}", "a {class}"), ("a [V]", "a {class}"), ("a [V] {class}", "a"),
    ("a [V] {class}", "a [V] {class}"), ("", "a {class}"), ("a [V] {class}", ""),
)  # fmt: skip


def verdicts(setting: Setting, folder: Path, count: int) -> Verdicts:
    """Listed, then made up."""
    wrong: list[tuple[str, Any]] = [(name, low) for name, low in {**WHOLE, **NUMBERS}.items()]
    wrong += [
        (name, value) for name in (*WHOLE, *NUMBERS) for value in (math.nan, math.inf, -math.inf, 10**400, "8", [1])
    ]
    wrong += [(name, value) for name in WHOLE for value in (1.5, None, True)]
    wrong += [(name, value) for name in CHOICES for value in ("", "LORA", None, 1)]
    switches = ("train_text_encoder", "checkpointing", "fit_memory", "base_in_8_bits", "fused_backward")
    wrong += [(name, value) for name in switches for value in ("no", None)]
    wrong += [("sample_prompt", None), ("templates", "a [V] {class}")]
    listed = [(f"{name}={value!r}", refused(partial(_made, name, value), name)) for name, value in wrong]
    listed += [(f"{pair}", refused(partial(PromptTemplates, *pair), "prompt")) for pair in TEMPLATES]
    names = st.sampled_from([field.name for field in fields(TrainOptions)])
    anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
    return listed + examples(
        st.tuples(names, anything), count, lambda pair: accepted_or_refused(lambda: _made(*pair), pair[0])
    )


def _made(name: str, value: Any) -> TrainOptions:
    return TrainOptions(**{name: value})

"""What the tab calls a setting, and the settings that a setting's text speaks of."""

from __future__ import annotations

import re

from ..trainer.options import SETTINGS

LABELS: dict[str, str] = {
    "accumulation": "Gradient accumulation",
    "snr_gamma": "Min-SNR gamma",
    "ema_decay": "EMA decay",
    "multires_noise_levels": "Multi-resolution noise: sizes",
    "multires_noise_discount": "Multi-resolution noise: discount",
    "noise_level": "Noise level (upscaler)",
    "caption_trigger": "Trigger in captions",
    "keep_tags": "Tags kept in place",
    "flip": "Mirror photos",
    "conv_rank": "Rank of 3 x 3 convolutions",
    "factor": "LoKr factor",
    "targets": "Layers",
    "vectors": "Vectors of the word",
    "word_share": "Share of steps for the word",
    "word_learning_rate": "Learning rate of the word",
    "text_encoder_learning_rate": "Learning rate of the text encoder",
    "schedule": "Learning rate schedule",
    "max_grad_norm": "Longest gradient",
    "checkpointing": "Gradient checkpointing",
    "memory": "Memory to fit in",
    "trained_weights": "Precision of what is trained",
    "fit_memory": "Go on with less memory",
    "score_every": "Steps between scores",
    "early_stop": "Scores without gain before it ends",
    "state_seconds": "Seconds between states",
    "save_every": "Steps between files",
    "sample_every": "Steps between samples",
    "sample_count": "Pictures of a sample",
}
"""{field of `TrainOptions`: label}, where its name read as words is none."""
_NAMES = re.compile(r"\b\w+_\w+\b")


def label(name: str) -> str:
    """What stands above the control of a field of `TrainOptions`."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


def labelled(text: str) -> str:
    """A text with the labels of settings, quoted, in the place of their names."""
    return _NAMES.sub(lambda found: f"“{label(found[0])}”" if found[0] in SETTINGS else found[0], text)

"""Options that do not go together, each with what to change."""

from __future__ import annotations

from typing import Any

from .choices import READ_THE_BASE
from .setting import OptionError

LEVEL = ("constant", "constant_with_warmup")
"""The schedules that do not lower the learning rate."""


def require_compatible(options: Any) -> None:
    """Raises OptionError, saying what to change, where two of these `TrainOptions` do not go together."""
    for text, is_so in (_memory(options) | _words(options) | _averages(options) | _others(options)).items():
        if is_so:
            raise OptionError(f"{text}.")


def _memory(options: Any) -> dict[str, bool]:
    """Of options that save memory. {what to change: whether it is so}."""
    kind = options.optimizer_kind
    return {
        "base_in_8_bits is True, and method 'full' trains the base itself: set base_in_8_bits to False, or method to "
        "'lora'": options.base_in_8_bits and options.method == "full",
        f"base_in_8_bits is True, and method {options.method!r} measures the base's own weights in every step: set "
        "base_in_8_bits to False, or method to 'lora'": (
            options.base_in_8_bits and options.method in READ_THE_BASE and options.method != "full"
        ),
        f"trained_weights is 'bf16', and method {options.method!r} trains few weights: set trained_weights to 'fp32'": (
            options.trained_weights == "bf16" and options.method != "full"
        ),
        f"trained_weights is 'bf16', which {kind.title} would round away: set optimizer to 'adafactor', which rounds "
        "stochastically": options.trained_weights == "bf16" and not kind.one_at_a_time,
        f"fused_backward is True, and {kind.title} updates all weights at once: set optimizer to 'adafactor'": (
            options.fused_backward and not kind.one_at_a_time
        ),
        f"fused_backward is True, and accumulation is {options.accumulation}: a gradient that is used and freed at "
        "once cannot be added to; set accumulation to 1": options.fused_backward and options.accumulation > 1,
        "fused_backward is True, and precision 'fp16' has to see all gradients before it uses one: set precision to "
        "'bf16'": options.fused_backward and options.precision == "fp16",
    }


def _words(options: Any) -> dict[str, bool]:
    """Of a new word and of the text encoder. {what to change: whether it is so}."""
    kind = options.optimizer_kind
    return {
        "train_text_encoder is True, and method 'textual_inversion' trains a word and nothing else: set "
        "train_text_encoder to False, or method to 'lora'": (
            options.train_text_encoder and options.method == "textual_inversion"
        ),
        f"word_share is {options.word_share:g}, and method 'textual_inversion' trains its word in all steps: set "
        "word_share to 0": options.word_share > 0 and options.learns_word,
        f"word_share is {options.word_share:g}, and method 'full' with train_text_encoder trains all words: set "
        "train_text_encoder to False, or word_share to 0": (
            options.word_share > 0 and options.method == "full" and options.train_text_encoder
        ),
        f"word_share is {options.word_share:g}, and {kind.title} finds one rate for all or averages the weights: set "
        "optimizer to 'adamw', or word_share to 0": (
            options.word_share > 0 and (kind.usual_rate is None or kind.averages)
        ),
        f"word_share is {options.word_share:g}, and fused_backward uses gradients before the word's share of steps is "
        "looked at: set fused_backward to False, or word_share to 0": options.word_share > 0 and options.fused_backward,
    }


def _averages(options: Any) -> dict[str, bool]:
    """Of the averages of weights and of the schedule. {what to change: whether it is so}."""
    kind = options.optimizer_kind
    return {
        f"schedule is {options.schedule!r}, and {kind.title} averages the weights in its place: set schedule to "
        "'constant', or to 'constant_with_warmup'": not kind.scheduled and options.schedule not in LEVEL,
        f"ema_decay is {options.ema_decay:g}, and {kind.title} averages the weights itself: set ema_decay to 0": (
            bool(options.ema_decay) and kind.averages
        ),
    }


def _others(options: Any) -> dict[str, bool]:
    """Of the prior, captions and scores. {what to change: whether it is so}."""
    return {
        "prior is 'stay close to the base, by factors', which are a LoRA's: set prior to 'stay close to the base'": (
            options.prior == "stay close to the base, by factors" and options.method == "full"
        ),
        f"caption_trigger is {options.caption_trigger!r}, and method 'textual_inversion' puts its word into prompts of "
        "its own (contexts): set caption_trigger to 'before the caption'": (
            options.learns_word and options.caption_trigger != "before the caption"
        ),
        f"caption_dropout is {options.caption_dropout}, and method 'textual_inversion' learns nothing from a prompt "
        "without its word: set caption_dropout to 0": options.learns_word and options.caption_dropout > 0,
        f"keep_tags is {options.keep_tags}, and shuffle_tags is False: set shuffle_tags, or keep_tags to 0": (
            options.keep_tags and not options.shuffle_tags
        ),
        f"early_stop is {options.early_stop}, and score_every is 0: set score_every, such as to 100": (
            options.early_stop and not options.score_every
        ),
    }

"""What a user may choose, checked once where it is made. Every field says its unit and range."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from .prompts import PromptTemplates

MethodName = Literal["full", "lora"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"]
Targets = Literal["attention", "transformer", "transformer_and_resnet"]


class OptionError(ValueError):
    """An option out of its range; the message names the value and what is allowed."""


def _says(text: str, changes_weights: bool = True) -> dict[str, Any]:
    """Metadata: `text` says unit and range to a host's tooltips and to the command line's help."""
    return {"text": text, "changes_weights": changes_weights}


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Settings of one run. Those that cannot change the trained weights are outside the run's key."""

    method: MethodName = field(
        default="lora", metadata=_says("lora: a small file. full: a whole checkpoint, as in the paper.")
    )
    steps: int = field(default=800, metadata=_says("Optimizer steps, 1 or more (the paper: about 1000)."))
    learning_rate: float = field(
        default=1e-4, metadata=_says("Of the denoiser, above 0: about 1e-4 for lora, 5e-6 for full.")
    )
    seed: int = field(default=0, metadata=_says("Of every random draw, 0 or more."))
    prior_weight: float = field(default=1.0, metadata=_says("λ, 0 or more; 0 trains without the prior term."))
    batch_size: int = field(
        default=1, metadata=_says("Instance images in a forward, 1 or more; as many prior images go with them.")
    )
    accumulation: int = field(
        default=1, metadata=_says("Forwards whose gradients are averaged into one step, 1 or more.")
    )
    rank: int = field(default=16, metadata=_says("Of the LoRA, 1 or more."))
    alpha: float | None = field(default=None, metadata=_says("LoRA's scale is alpha / rank; unset, alpha is the rank."))
    targets: Targets = field(
        default="transformer",
        metadata=_says("Layers that get a LoRA: attention projections; all of the transformer; residual blocks too."),
    )
    train_text_encoder: bool = field(default=False, metadata=_says("Train the text encoder as well."))
    text_encoder_learning_rate: float | None = field(default=None, metadata=_says("Above 0; unset, the denoiser's."))
    schedule: Schedule = field(default="constant", metadata=_says("Of the learning rate."))
    warmup_steps: int = field(default=0, metadata=_says("Steps over which the learning rate rises, 0 or more."))
    max_grad_norm: float = field(default=1.0, metadata=_says("Gradients longer than this are cut to it; above 0."))
    weight_decay: float = field(default=1e-2, metadata=_says("Of AdamW, 0 or more."))
    snr_gamma: float | None = field(
        default=None, metadata=_says("γ of min-SNR weighting, above 0, often 5; unset, the paper's plain loss.")
    )
    precision: Precision = field(
        default="auto", metadata=_says("Of the forward; trained weights and optimizer stay float32.")
    )
    checkpointing: bool = field(
        default=False, metadata=_says("Recompute activations, not keep them: less memory, about a third slower.")
    )
    fit_memory: bool = field(
        default=False,
        metadata=_says("Where memory runs out, go on with checkpointing, then with smaller batches.", False),
    )
    templates: PromptTemplates = field(default_factory=PromptTemplates)
    state_seconds: float = field(
        default=30.0, metadata=_says("Seconds between states that a run can be resumed from; 0 keeps none.", False)
    )
    save_every: int = field(
        default=0, metadata=_says("Steps between files to choose the best from; 0 saves the last only.", False)
    )
    sample_every: int = field(
        default=0, metadata=_says("Steps between sample pictures; 0 draws them at the end only.", False)
    )
    sample_prompt: str = field(
        default="", metadata=_says("Empty: the instance prompt. [V] and {class} are filled in.", False)
    )
    sample_count: int = field(default=2, metadata=_says("Pictures of a sample, 0 or more.", False))

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            _require(getattr(self, name) in allowed, name, getattr(self, name), f"one of {', '.join(allowed)}")
        for name in ("steps", "batch_size", "accumulation", "rank"):
            self._require_number(name, int, "1 or more", lambda value: value >= 1)
        for name in ("seed", "warmup_steps", "sample_every", "save_every", "sample_count"):
            self._require_number(name, int, "0 or more", lambda value: value >= 0)
        for name in ("prior_weight", "weight_decay", "state_seconds"):
            self._require_number(name, float, "0 or more", lambda value: value >= 0)
        for name in ("learning_rate", "max_grad_norm", "alpha", "text_encoder_learning_rate", "snr_gamma"):
            if getattr(self, name) is not None or name in ("learning_rate", "max_grad_norm"):
                self._require_number(name, float, "above 0", lambda value: value > 0)
        for name in ("train_text_encoder", "checkpointing", "fit_memory"):
            _require(isinstance(getattr(self, name), bool), name, getattr(self, name), "true or false")
        _require(isinstance(self.sample_prompt, str), "sample_prompt", self.sample_prompt, "a text")
        _require(isinstance(self.templates, PromptTemplates), "templates", self.templates, "PromptTemplates")

    def _require_number(self, name: str, kind: type, allowed: str, fits: Callable[[float], bool]) -> None:
        """Hosts hand over what a workflow or a file says: a text or a NaN is as likely as a number out of range."""
        value = getattr(self, name)
        number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        _require(
            number and abs(value) <= sys.float_info.max and fits(value),
            name,
            value,
            f"{'a whole number, ' if kind is int else ''}{allowed}",
        )

    @property
    def lora_alpha(self) -> float:
        """alpha as it is used."""
        return self.rank if self.alpha is None else self.alpha

    @property
    def weight_settings(self) -> dict[str, Any]:
        """The settings that the trained weights depend on, ready for JSON."""
        return {name: value for name, value in self.settings.items() if name in _IN_KEY}

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, ready for JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        templates = self.templates
        return {**values, "templates": {"instance": templates.instance, "class": templates.class_}}


CHOICES: dict[str, tuple[str, ...]] = {
    "method": get_args(MethodName),
    "precision": get_args(Precision),
    "schedule": get_args(Schedule),
    "targets": get_args(Targets),
}
TEXTS: dict[str, str] = {f.name: f.metadata["text"] for f in fields(TrainOptions) if "text" in f.metadata}
"""{field: its unit and range}, for people."""
_IN_KEY = {f.name for f in fields(TrainOptions) if f.metadata.get("changes_weights", True)}


def _require(holds: bool, name: str, value: Any, allowed: str) -> None:
    if not holds:
        raise OptionError(f"{name} is {value!r}; it must be {allowed}.")

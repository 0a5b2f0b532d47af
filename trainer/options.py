"""What a user may choose, checked once where it is made. Every field says its unit and range."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from .prompts import PromptTemplates


class OptionError(ValueError):
    """An option out of its range; the message names the value and what is allowed."""


def require(holds: bool, name: str, value: Any, allowed: str) -> None:
    """Raises OptionError where it does not hold."""
    if not holds:
        raise OptionError(f"{name} is {value!r}; it must be {allowed}.")


def require_number(name: str, value: Any, kind: type, allowed: str, fits: Callable[[float], bool]) -> None:
    """Hosts hand over what a workflow or a file says: a text or a NaN is as likely as a number out of range."""
    number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    require(
        number and abs(value) <= sys.float_info.max and fits(value),
        name,
        value,
        f"{'a whole number, ' if kind is int else ''}{allowed}",
    )


def require_levers_that_fit(options: TrainOptions) -> None:
    """What saves memory in one method or with one optimizer alone. Raises OptionError, naming the way out."""
    refused = {
        "base_in_8_bits is True, and method 'full' trains the base itself": options.base_in_8_bits
        and options.method == "full",
        "trained_weights is 'bf16', and method 'lora' trains few weights": options.trained_weights == "bf16"
        and options.method == "lora",
        "trained_weights is 'bf16', which AdamW would round away: set optimizer to 'adafactor', which rounds "
        "stochastically": options.trained_weights == "bf16" and options.optimizer != "adafactor",
        "fused_backward is True, and AdamW updates all weights at once: set optimizer to 'adafactor'": (
            options.fused_backward and options.optimizer != "adafactor"
        ),
        f"fused_backward is True, and accumulation is {options.accumulation}: a gradient that is used and freed at "
        "once cannot be added to; set accumulation to 1": options.fused_backward and options.accumulation > 1,
        "fused_backward is True, and precision 'fp16' has to see all gradients before it uses one: set precision to "
        "'bf16'": options.fused_backward and options.precision == "fp16",
    }
    for text, is_so in refused.items():
        if is_so:
            raise OptionError(f"{text}.")


__all__ = ["CHOICES", "TEXTS", "MethodName", "OptionError", "Precision", "TrainOptions"]

MethodName = Literal["full", "lora"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"]
Targets = Literal["attention", "transformer", "transformer_and_resnet"]
OptimizerName = Literal["adamw", "adafactor"]
TrainedWeights = Literal["fp32", "bf16"]
Memory = Literal["auto", "off", "8 GB", "12 GB", "16 GB", "24 GB"]


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
    weight_decay: float = field(default=1e-2, metadata=_says("Of the optimizer, 0 or more."))
    snr_gamma: float | None = field(
        default=None, metadata=_says("γ of min-SNR weighting, above 0, often 5; unset, the paper's plain loss.")
    )
    precision: Precision = field(
        default="auto",
        metadata=_says(
            "Of the forward; the optimizer stays float32, and so do trained weights unless they are asked in bf16."
        ),
    )
    checkpointing: bool = field(
        default=False, metadata=_says("Recompute activations, not keep them: less memory, about a third slower.")
    )
    memory: Memory = field(
        default="auto",
        metadata=_says(
            "What the training has to fit in: auto is what is free on the device. It then sets checkpointing, "
            "base_in_8_bits, optimizer, trained_weights and fused_backward by itself; off leaves them as they are."
        ),
    )
    base_in_8_bits: bool = field(
        default=False, metadata=_says("LoRA: keep the frozen base in 8 bits, half of bf16; slower.")
    )
    optimizer: OptimizerName = field(
        default="adamw", metadata=_says("adafactor keeps next to nothing beside the weights, adamw twice their size.")
    )
    trained_weights: TrainedWeights = field(
        default="fp32", metadata=_says("full: bf16, rounded stochastically, is half of fp32; with adafactor.")
    )
    fused_backward: bool = field(
        default=False,
        metadata=_says("Use each gradient and free it at once; max_grad_norm is then of each weight's own gradient."),
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
            require(getattr(self, name) in allowed, name, getattr(self, name), f"one of {', '.join(allowed)}")
        for name in ("steps", "batch_size", "accumulation", "rank"):
            require_number(name, getattr(self, name), int, "1 or more", lambda value: value >= 1)
        for name in ("seed", "warmup_steps", "sample_every", "save_every", "sample_count"):
            require_number(name, getattr(self, name), int, "0 or more", lambda value: value >= 0)
        for name in ("prior_weight", "weight_decay", "state_seconds"):
            require_number(name, getattr(self, name), float, "0 or more", lambda value: value >= 0)
        for name in ("learning_rate", "max_grad_norm", "alpha", "text_encoder_learning_rate", "snr_gamma"):
            if getattr(self, name) is not None or name in ("learning_rate", "max_grad_norm"):
                require_number(name, getattr(self, name), float, "above 0", lambda value: value > 0)
        for name in ("train_text_encoder", "checkpointing", "fit_memory", "base_in_8_bits", "fused_backward"):
            require(isinstance(getattr(self, name), bool), name, getattr(self, name), "true or false")
        require(isinstance(self.sample_prompt, str), "sample_prompt", self.sample_prompt, "a text")
        require(isinstance(self.templates, PromptTemplates), "templates", self.templates, "PromptTemplates")
        require_levers_that_fit(self)

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
    "memory": get_args(Memory),
    "optimizer": get_args(OptimizerName),
    "trained_weights": get_args(TrainedWeights),
}
TEXTS: dict[str, str] = {f.name: f.metadata["text"] for f in fields(TrainOptions) if "text" in f.metadata}
"""{field: its unit and range}, for people."""
_IN_KEY = {f.name for f in fields(TrainOptions) if f.metadata.get("changes_weights", True)}

"""What a user may choose, checked once where it is made. Every field says its unit and range."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from .subject import PromptTemplates

MethodName = Literal["full", "lora"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"]
Targets = Literal["attention", "transformer", "transformer_and_resnet"]


class OptionError(ValueError):
    """An option out of its range; the message names the value and what is allowed."""


def _outside_key(default: Any) -> Any:
    return field(default=default, metadata={"changes_weights": False})


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Settings of one run. Those that cannot change the trained weights are outside the run's key."""

    method: MethodName = "lora"
    steps: int = 800
    """Optimizer steps, 1 or more (the paper: about 1000)."""
    learning_rate: float = 1e-4
    """Of the denoiser, above 0. The paper's full fine-tuning of SD: 5e-6."""
    seed: int = 0
    """Of every random draw, 0 or more."""
    prior_weight: float = 1.0
    """λ, 0 or more; 0 trains without the prior term."""
    batch_size: int = 1
    """Instance images in a forward, 1 or more; as many prior images go with them."""
    accumulation: int = 1
    """Forwards whose gradients are averaged into one step, 1 or more."""
    rank: int = 16
    """Of the LoRA, 1 or more."""
    alpha: float | None = None
    """LoRA's scale is alpha / rank; None means alpha = rank."""
    targets: Targets = "transformer"
    """Layers that get a LoRA: attention projections; all of the transformer; the residual blocks too."""
    train_text_encoder: bool = False
    text_encoder_learning_rate: float | None = None
    """None means the denoiser's."""
    schedule: Schedule = "constant"
    warmup_steps: int = 0
    max_grad_norm: float = 1.0
    """Gradients longer than this are cut to it; above 0."""
    weight_decay: float = 1e-2
    snr_gamma: float | None = None
    """γ of min-SNR weighting, above 0, or None for the paper's plain loss."""
    precision: Precision = "auto"
    """Of the forward; trained weights and optimizer stay float32."""
    checkpointing: bool = False
    """Recompute activations instead of keeping them: less memory, about a third slower."""
    templates: PromptTemplates = field(default_factory=PromptTemplates)
    sample_every: int = _outside_key(0)
    """Steps between sample pictures; 0 draws them at the end only."""
    sample_prompt: str = _outside_key("")
    """Empty means the instance prompt; [V] and {class} are filled in."""
    sample_count: int = _outside_key(2)

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            _require(getattr(self, name) in allowed, name, getattr(self, name), f"one of {', '.join(allowed)}")
        for name in ("steps", "batch_size", "accumulation", "rank"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("seed", "warmup_steps", "sample_every", "sample_count", "prior_weight", "weight_decay"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name in ("learning_rate", "max_grad_norm", "alpha", "text_encoder_learning_rate", "snr_gamma"):
            value = getattr(self, name)
            _require(value is None or 0 < value < float("inf"), name, value, "above 0")

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
_IN_KEY = {f.name for f in fields(TrainOptions) if f.metadata.get("changes_weights", True)}


def _require(holds: bool, name: str, value: Any, allowed: str) -> None:
    if not holds:
        raise OptionError(f"{name} is {value!r}; it must be {allowed}.")

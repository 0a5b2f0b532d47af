"""Presets for the training time, and the guidance of class images, chosen on the quality bench (bench/README.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from .options.choices import MethodName
from .options.optimizers import OPTIMIZERS
from .options.setting import OptionError

PresetName = Literal["fast", "balanced", "best likeness"]
DEFAULT: PresetName = "balanced"
"""The preset where the user chooses none."""

LEARNING_RATES: dict[MethodName, float] = {
    "lora": 1e-4,
    "full": 5e-6,
    "textual_inversion": 2e-3,
    "dora": 1e-4,
    "lokr": 1e-4,
    "lidb": 1e-3,
}
"""{method: learning rate for Stable Diffusion}: each paper's for full fine-tuning and textual inversion, the usual one
for a LoRA; LiDB's few numbers take the tenfold."""
PRIOR_GUIDANCE = 1.0
"""The guidance of class images: 1, none. They are then what the base itself predicts, so the prior term asks for no
change at all.

Class images sampled with guidance are prettier and alike: learned, and guided again at sampling, they narrow the class.
"""


def usual_rate(method: MethodName, optimizer: str = "adamw") -> float:
    """The learning rate of all presets for a method and an optimizer; AdamW's where the name is unknown, and where the
    optimizer finds its own.
    """
    kind = OPTIMIZERS.get(optimizer)
    return LEARNING_RATES[method] * (1.0 if kind is None or kind.usual_rate is None else kind.usual_rate)


@dataclass(frozen=True)
class Preset:
    """Settings for one training time. steps: {method: optimizer steps}. rank: of a LoRA. priors: number of class
    images.
    """

    steps: dict[MethodName, int]
    rank: int
    priors: int

    def options(self, method: MethodName, optimizer: str = "adamw") -> dict[str, Any]:
        """The preset's fields of `TrainOptions` for a method and an optimizer."""
        rate = usual_rate(method, optimizer)
        return {"steps": self.steps[method], "learning_rate": rate, "rank": self.rank}


def _steps(steps: int) -> dict[MethodName, int]:
    """{method: steps}: full fine-tuning takes half as many."""
    return {method: steps // 2 if method == "full" else steps for method in LEARNING_RATES}


PRESETS: dict[PresetName, Preset] = {
    "fast": Preset(_steps(400), rank=16, priors=64),
    "balanced": Preset(_steps(800), rank=16, priors=100),
    "best likeness": Preset(_steps(1600), rank=64, priors=200),
}


def preset_named(name: str) -> Preset:
    """The preset of this name. Raises OptionError for an unknown name."""
    if name not in PRESETS:
        raise OptionError(f"preset is {name!r}; it must be one of {', '.join(get_args(PresetName))}.")
    return PRESETS[name]

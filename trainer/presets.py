"""Three ways to spend the time, and how class images are drawn: chosen on the quality bench (bench/README.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from .options import MethodName, OptionError

PresetName = Literal["fast", "balanced", "best likeness"]
DEFAULT: PresetName = "balanced"

LEARNING_RATES: dict[MethodName, float] = {"lora": 1e-4, "full": 5e-6}
"""What Stable Diffusion takes: the paper's for full fine-tuning, common practice for a LoRA."""
PRIOR_GUIDANCE = 1.0
"""None: class images are then what the base itself answers with, and the prior term asks for no change at all.

Guided ones are prettier and all alike: learned, and guided once more when they are drawn, they narrow the class.
"""


@dataclass(frozen=True)
class Preset:
    """steps: {method: optimizer steps}. rank: of a LoRA. priors: how many class images are worth drawing."""

    steps: dict[MethodName, int]
    rank: int
    priors: int

    def options(self, method: MethodName) -> dict[str, Any]:
        """Fields of `TrainOptions`."""
        return {"steps": self.steps[method], "learning_rate": LEARNING_RATES[method], "rank": self.rank}


PRESETS: dict[PresetName, Preset] = {
    "fast": Preset({"lora": 400, "full": 200}, rank=16, priors=64),
    "balanced": Preset({"lora": 800, "full": 400}, rank=16, priors=100),
    "best likeness": Preset({"lora": 1600, "full": 800}, rank=64, priors=200),
}


def preset_named(name: str) -> Preset:
    """The preset of this name. Raises OptionError."""
    if name not in PRESETS:
        raise OptionError(f"preset is {name!r}; it must be one of {', '.join(get_args(PresetName))}.")
    return PRESETS[name]

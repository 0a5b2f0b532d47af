"""Presets: for the training time, chosen on the quality bench (bench/README.md), and for kinds of subjects; and the
guidance of class images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from .options.choices import MethodName
from .options.optimizers import OPTIMIZERS
from .options.setting import OptionError

PresetName = Literal["fast", "balanced", "best likeness", "person", "object", "style"]
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
USUAL_PHOTOS = 5
"""The number of photos of which a preset of a kind of subject says its steps where the photos are not known yet."""
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
class StepsByPhotos:
    """Steps that follow the number of photos: each, of every photo, within least and most; of a LoRA."""

    each: int
    least: int
    most: int

    def of(self, photos: int) -> int:
        """The steps for so many photos."""
        return min(max(self.each * photos, self.least), self.most)


@dataclass(frozen=True)
class Preset:
    """Settings for one training time, or one kind of subject. fixed_steps: of a LoRA, or what they follow. rank: of a
    LoRA. priors: number of class images.
    """

    fixed_steps: int | StepsByPhotos
    rank: int
    priors: int

    @property
    def by_photos(self) -> StepsByPhotos | None:
        """How the steps of a LoRA follow the number of photos; None where they do not."""
        return self.fixed_steps if isinstance(self.fixed_steps, StepsByPhotos) else None

    def steps(self, method: MethodName, photos: int = USUAL_PHOTOS) -> int:
        """Optimizer steps for a method and a number of photos: full fine-tuning takes half as many as a LoRA."""
        lora = self.fixed_steps.of(photos) if isinstance(self.fixed_steps, StepsByPhotos) else self.fixed_steps
        return lora // 2 if method == "full" else lora

    def options(self, method: MethodName, optimizer: str = "adamw", photos: int = USUAL_PHOTOS) -> dict[str, Any]:
        """The preset's fields of `TrainOptions` for a method, an optimizer and a number of photos."""
        rate = usual_rate(method, optimizer)
        return {"steps": self.steps(method, photos), "learning_rate": rate, "rank": self.rank}


PRESETS: dict[PresetName, Preset] = {
    "fast": Preset(400, rank=16, priors=64),
    "balanced": Preset(800, rank=16, priors=100),
    "best likeness": Preset(1600, rank=64, priors=200),
    "person": Preset(StepsByPhotos(320, least=1200, most=4000), rank=64, priors=200),
    "object": Preset(StepsByPhotos(160, least=480, most=2400), rank=16, priors=100),
    "style": Preset(StepsByPhotos(100, least=800, most=3000), rank=16, priors=100),
}
"""object: at five photos the same as balanced. person: twice as many steps, at five photos those of best likeness, and
its class images, since faces take two to three times the steps of objects and suffer most without class images
(Cuenca, Patil 2022, "Training Stable Diffusion with Dreambooth", huggingface.co/blog/dreambooth). style: of a look each
photo shows something else, so more photos with fewer steps each. Only what equals the first three was measured.
"""


def preset_named(name: str) -> Preset:
    """The preset of this name. Raises OptionError for an unknown name."""
    if name not in PRESETS:
        raise OptionError(f"preset is {name!r}; it must be one of {', '.join(get_args(PresetName))}.")
    return PRESETS[name]

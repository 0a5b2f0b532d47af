"""The figures of a run's record from which an explanation of what went wrong is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from ..options.optimizers import OPTIMIZERS
from ..presets import DEFAULT, PRESETS, usual_rate

CLASS_IMAGES = "class images"
"""The prior whose loss says how the model's idea of the class changes; those of others begin at zero and only grow."""


@dataclass(frozen=True)
class Figures:
    """The figures of a run's record that findings are read off."""

    record: Mapping[str, Any]

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The requested options."""
        settings: Mapping[str, Any] = self.record["settings"]
        return settings

    @property
    def error(self) -> str:
        """The message that the run failed with; "" where it did not."""
        return str(self.record.get("error", ""))

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self.record.get("losses", []))

    @property
    def rate(self) -> float:
        """The learning rate."""
        return float(self.settings["learning_rate"])

    @property
    def usual_rate(self) -> float:
        """The default preset's."""
        return usual_rate(self.settings["method"], self.settings.get("optimizer", "adamw"))

    @property
    def finds_its_rate(self) -> bool:
        """Whether the optimizer finds the learning rate itself, so that the option does not apply."""
        kind = OPTIMIZERS.get(self.settings.get("optimizer", "adamw"))
        return kind is not None and kind.usual_rate is None

    @property
    def usual_steps(self) -> int:
        """The default preset's."""
        return PRESETS[DEFAULT].steps(self.settings["method"])

    @property
    def strength(self) -> float:
        """Learning rate x steps, as a multiple of the default preset's."""
        return self.rate * self.steps / (self.usual_rate * self.usual_steps)

    @property
    def ratio(self) -> float | None:
        """The photos' loss on fixed noise after the training, as a multiple of that before it; None where not measured:
        below a hundred steps.
        """
        fixed = self.record.get("fixed_losses", [])
        return fixed[-1][1] / fixed[0][1] if len(fixed) > 1 and fixed[0][1] else None

    def quarters(self, name: str) -> tuple[float, float] | None:
        """Medians of a loss in the first and the last quarter of the steps; None where there are fewer than 40."""
        values = [point[name] for point in self.record.get("losses", []) if point[name] is not None]
        count = len(values) // 4
        return (median(values[:count]), median(values[-count:])) if count >= 10 else None

    @property
    def prior(self) -> str:
        """What kept the class: an option's value; "off" for class images of which there were none."""
        prior = str(self.settings.get("prior", CLASS_IMAGES)) if self.settings["prior_weight"] > 0 else "off"
        return "off" if prior == CLASS_IMAGES and not self.record.get("priors") else prior

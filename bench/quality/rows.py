"""The rows of the table: one setting each, changed from the first of its kind by one thing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ...toybase.palette import NOUNS
from ...trainer.options.choices import MethodName, PriorName
from ...trainer.presets import PRIOR_GUIDANCE

TrainerName = Literal["ours", "diffusers", "TrainLoraNode"]
Noun = Literal["right", "wrong", "none"]

RARE, OTHER_RARE, SKS, ADJECTIVE, LETTERS = "olt", "wsw", "sks", "golden", "xxy5syt00"
"""Identifiers: two rare tokens; the popular one, weakly known; a common adjective; the paper's random letters."""
PHOTOS = 5
GUIDANCE = 4.5
"""Of every picture that is looked at."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one model is trained. steps: 0 for the base itself.

    priors: number of class images, 0 for none; prior_guidance: the guidance that they are drawn with.
    """

    name: str
    steps: int
    learning_rate: float
    method: MethodName = "lora"
    trainer: TrainerName = "ours"
    priors: int = 0
    prior: PriorName = "class images"
    prior_weight: float = 1.0
    prior_guidance: float = PRIOR_GUIDANCE
    rank: int = 16
    identifier: str = RARE
    noun: Noun = "right"
    photos: int = PHOTOS

    @property
    def looks(self) -> tuple[int, ...]:
        """Steps at which the model is looked at: a quarter, a half, and all of them.

        TrainLoraNode gives nothing before its last step, so that every look is a training of its own.
        """
        parts = (2, 1) if self.trainer == "TrainLoraNode" else (4, 2, 1)
        return tuple(dict.fromkeys(max(1, self.steps // part) for part in parts))

    def said_noun(self, class_noun: str) -> str:
        """The class noun that the prompts say."""
        if self.noun == "wrong":
            return NOUNS[(NOUNS.index(class_noun) + len(NOUNS) // 2) % len(NOUNS)]
        return class_noun if self.noun == "right" else ""


BASE = Row(name="base", steps=0, learning_rate=1.0, identifier="")
LORA = Row(name="LoRA", steps=400, learning_rate=5e-4, priors=64)
FULL = Row(name="full", steps=200, learning_rate=1e-4, method="full", priors=64)


def main_rows() -> list[Row]:
    """The base, and both methods with and without priors."""
    return [BASE, LORA, _without_priors(LORA), FULL, _without_priors(FULL)]


def rivals(trainers: tuple[TrainerName, ...]) -> list[Row]:
    """The same work by others.

    TrainLoraNode knows no priors, and its alpha is fixed at 1, which scales a LoRA of rank r by 1 / r: it gets sqrt(r)
    times the rate, so that the product of its two halves grows as fast.
    """
    found: list[Row] = []
    if "diffusers" in trainers:
        found += [_by("diffusers", row) for row in (LORA, FULL)]
    if "TrainLoraNode" in trainers:
        row = _without_priors(LORA)
        found.append(_by("TrainLoraNode", replace(row, learning_rate=row.learning_rate * row.rank**0.5)))
    return found


def ablations() -> list[Row]:
    """Class noun (without priors, which a wrong noun would change as well), identifier, number of photos."""
    plain = _without_priors(LORA)
    return [
        replace(plain, name="LoRA, no priors, wrong noun", noun="wrong"),
        replace(plain, name="LoRA, no priors, no noun", noun="none"),
        replace(LORA, name=f'LoRA, "{OTHER_RARE}"', identifier=OTHER_RARE),
        replace(LORA, name=f'LoRA, "{SKS}"', identifier=SKS),
        replace(LORA, name=f'LoRA, "{ADJECTIVE}"', identifier=ADJECTIVE),
        replace(LORA, name=f'LoRA, "{LETTERS}"', identifier=LETTERS),
        replace(LORA, name="LoRA, 1 photo", photos=1),
        replace(LORA, name="LoRA, 3 photos", photos=3),
    ]


def settings() -> list[Row]:
    """What the defaults and the presets are chosen from."""
    return [
        *_varied(LORA, "steps", 200, 800),
        *_varied(LORA, "learning_rate", 2.5e-4, 1e-3),
        *_varied(LORA, "rank", 4, 64),
        *_varied(LORA, "prior_weight", 0.3, 3.0),
        *_varied(LORA, "priors", 16, 200),
        *_varied(LORA, "prior_guidance", 2.5, 4.5),
        *_varied(FULL, "steps", 100, 400),
        *_varied(FULL, "learning_rate", 5e-5, 2e-4),
        *_varied(FULL, "prior_guidance", 2.5, 4.5),
    ]


def image_free_priors() -> list[Row]:
    """What keeps the class without class images, beside `LORA`, which has them, and its row without any prior."""
    kinds: tuple[PriorName, ...] = (
        "compare with the base",
        "stay close to the base",
        "stay close to the base, by factors",
    )
    return [replace(LORA, name=f"LoRA, {kind}", priors=0, prior=kind) for kind in kinds]


def _varied(row: Row, setting: str, *values: float) -> list[Row]:
    return [
        replace(row, name=f"{row.name}, {setting.replace('_', ' ')} {value:g}", **{setting: value})  # type: ignore[arg-type]
        for value in values
    ]


def _without_priors(row: Row) -> Row:
    return replace(row, name=f"{row.name}, no priors", priors=0, prior_weight=0.0)


def _by(trainer: TrainerName, row: Row) -> Row:
    return replace(row, name=f"{trainer}: {row.name}", trainer=trainer)

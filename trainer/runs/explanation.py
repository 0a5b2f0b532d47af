"""What probably went wrong in a run, read off its own figures, and what to change.

The measure of learning is the loss of the photos on the same noise before and after the training (`fixed_losses`): the
loss of single steps depends more on their timesteps than on what was learned. Thresholds are of trainings that were
made to go wrong on the embedded base (tests/trainer/runs/wrong_runs): a good training reduced this loss by 57%.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from ..options.choices import WORD_METHODS
from ..presets import DEFAULT, PRESETS
from ..wording import Wording, sentence_and_values
from .figures import CLASS_IMAGES, Figures

NO_CLASS = "style"
"""The class noun of a look, which has no class to keep."""
UNCHANGED, LITTLE, MEMORISED = 0.02, 0.15, 0.75
"""Shares of the photos' loss that a training took away: nothing learned, little learned, photos learned by heart."""
GROWN = 1.2
"""The multiple of the photos' loss before the training above which the training has destroyed the model."""
WEAK, STRONG = 0.25, 1.5
"""Multiples of the default preset's learning rate x steps: the least to learn by; the most without class images."""
LEAK = 2.0
"""The multiple of the first quarter's prior loss from which the last quarter's says that the class changes."""
TOO_SMALL, TOO_LARGE = 0.75, 1.5
"""Multiples of the base's resolution, outside of which a training's resolution is wrong for it."""
NO_MEMORY, DIVERGED = "There is not enough memory", "The loss "
"""How the errors of a run begin that ran out of memory, and of one whose loss exploded."""
BURNT = Wording("The training has burnt the model: it now predicts the photos worse than before.")
OTHER_OPTIMIZER = Wording("Train again with the optimizer adamw, whose learning rate is the preset's.")


@dataclass(frozen=True)
class Finding:
    """One thing that probably went wrong. what, advice: sentences for the user. changes: {setting of the next run:
    value}; settings are fields of `TrainOptions`, "priors", "width" and "height". Empty where no setting helps.
    """

    name: str
    what: Wording
    advice: Wording
    changes: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Ready for JSON; sentences as `wording.sentence_and_values` has them."""
        said = {"what": sentence_and_values(self.what), "advice": sentence_and_values(self.advice)}
        return {"name": self.name, **said, "changes": dict(self.changes)}


def explain(record: Mapping[str, Any]) -> list[Finding]:
    """What probably went wrong in the run with this record, the likeliest first; empty where its figures show nothing.

    Raises ValueError for a record of an earlier release, and of a run that is training or whose end was never recorded.
    """
    if not is_explainable(record):
        raise ValueError("This run was made by an earlier release, which recorded too little to explain it.")
    if record.get("status") == "running" and not record.get("error"):
        raise ValueError("This run is still training, or its process died; its figures are written when it ends.")
    figures = Figures(record)
    broken = [*_memory(figures), *_diverged(figures)]
    causes = (_resolution, _undertrained, _class, _memorised, _photos)
    return broken or [finding for cause in causes for finding in cause(figures)]


def changes_of(found: Sequence[Finding]) -> dict[str, Any]:
    """{setting: value} that the findings ask for; of two values for one setting, the likelier finding's."""
    return {name: value for one in reversed(found) for name, value in one.changes.items()}


def is_explainable(record: Mapping[str, Any]) -> bool:
    """Whether a record holds what an explanation needs: those of earlier releases do not."""
    return {"size", "settings", "photos", "class_noun"} <= record.keys()


def _memory(figures: Figures) -> Iterator[Finding]:
    """The finding that memory ran out."""
    if not figures.error.startswith(NO_MEMORY):
        return
    batch, pieces = figures.settings["batch_size"], figures.settings["accumulation"]
    yield Finding(
        "memory",
        Wording("The training did not fit into memory."),
        Wording("Let it choose what saves memory, and go on in smaller pieces where memory still runs out."),
        {"memory": "auto", "checkpointing": True, "fit_memory": True, "batch_size": 1, "accumulation": batch * pieces},
    )


def _diverged(figures: Figures) -> Iterator[Finding]:
    """The finding that the learning rate destroyed the model."""
    if not figures.error.startswith(DIVERGED) and (figures.ratio is None or figures.ratio < GROWN):
        return
    if figures.finds_its_rate:
        yield Finding("burnt", BURNT, OTHER_OPTIMIZER, {"optimizer": "adamw"})
        return
    lower = min(figures.rate / 10, max(figures.usual_rate, figures.rate / 100))
    yield Finding(
        "burnt",
        Wording(
            "The training has damaged the model: it now predicts the photos worse than before. The learning rate {0} "
            "is too high.",
            f"{figures.rate:g}",
        ),
        Wording("Train again with a learning rate of {0}.", f"{lower:g}"),
        {"learning_rate": lower},
    )


def _resolution(figures: Figures) -> Iterator[Finding]:
    """The finding that the training's resolution does not suit the base."""
    native, (width, height) = figures.record.get("native_resolution"), figures.record["size"]
    if not native or TOO_SMALL <= sqrt(width * height) / native <= TOO_LARGE:
        return
    yield Finding(
        "size",
        Wording("The photos were trained at {0}, and this base was made for {1} px.", f"{width}x{height}", str(native)),
        Wording("Train at {0} px: at other sizes the base draws badly, and so does what it learns.", str(native)),
        {"width": native, "height": native},
    )


def _undertrained(figures: Figures) -> Iterator[Finding]:
    """The finding that hardly anything was learned."""
    learned = None if figures.ratio is None else 1 - figures.ratio
    if learned is None:
        is_so = figures.strength < WEAK / 5
    else:
        is_so = learned < UNCHANGED or (learned < LITTLE and figures.strength < WEAK)
    if not is_so:
        return
    if figures.steps * 2 < figures.usual_steps and figures.rate >= figures.usual_rate:
        changes: dict[str, Any] = {"steps": figures.usual_steps}
        advice = Wording("Train {0} steps.", str(figures.usual_steps))
    elif figures.finds_its_rate:
        changes, advice = {"optimizer": "adamw"}, OTHER_OPTIMIZER
    else:
        changes = {"learning_rate": max(figures.usual_rate, 10 * figures.rate)}
        advice = Wording("Train again with a learning rate of {0}.", f"{changes['learning_rate']:g}")
    what = Wording("The training has hardly learned anything: {0} steps at a learning rate of {1} are too little.",
                   str(figures.steps), f"{figures.rate:g}")  # fmt: skip
    yield Finding("learned nothing", what, advice, changes)


def _class(figures: Figures) -> Iterator[Finding]:
    """The finding that the class was forgotten, for lack of class images, or drifts: their loss grows."""
    noun, preset = str(figures.record["class_noun"]), PRESETS[DEFAULT]
    if figures.settings["method"] in WORD_METHODS:
        # A learned word leaves the class as it is.
        return
    if figures.prior == "off":
        if noun == NO_CLASS or figures.strength < STRONG:
            return
        yield Finding(
            "forgot the class",
            Wording("It was trained for {0} steps without class images: every {1} has likely come to look like yours.",
                    str(figures.steps), noun),
            Wording("Train with {0} class images, and no more than {1} steps.", str(preset.priors),
                    str(figures.usual_steps)),
            {"priors": preset.priors, "prior_weight": 1.0,
             **({"prior": CLASS_IMAGES} if figures.settings.get("prior", CLASS_IMAGES) != CLASS_IMAGES else {}),
             "steps": min(int(figures.settings["steps"]), figures.usual_steps)},
        )  # fmt: skip
        return
    prior = figures.quarters("prior") if figures.prior == CLASS_IMAGES else None
    if prior and prior[1] > LEAK * prior[0]:
        weight = 2 * float(figures.settings["prior_weight"])
        yield Finding(
            "class drifts",
            Wording("The loss of the class images has grown: the model changes what a {0} is.", noun),
            Wording("Give the class images a weight of {0}.", f"{weight:g}"),
            {"prior_weight": weight},
        )


def _memorised(figures: Figures) -> Iterator[Finding]:
    """The finding that the photos were memorised."""
    if figures.ratio is None or 1 - figures.ratio < MEMORISED or figures.steps < 2:
        return
    half = figures.steps // 2
    yield Finding(
        "by heart",
        Wording("It has likely learned the photos by heart: it will repeat them, whatever the prompt says."),
        Wording("Train {0} steps, or choose an earlier file of this run.", str(half)),
        {"steps": half},
    )


def _photos(figures: Figures) -> Iterator[Finding]:
    """Faults of the photos: the same background, and each other fault that half of the photos or more have."""
    found, count = figures.record.get("photo_faults", {}), int(figures.record["photos"])
    if found.get("same background"):
        yield Finding(
            "background",
            Wording("All photos have the same background, which was learned as part of the subject."),
            Wording("Add photos from other places, or mask the background out; no setting does it."),
        )
    for name in ("too small", "blurred", "near-duplicate"):
        if 2 * found.get(name, 0) >= count:
            yield Finding(
                name,
                Wording("{0} of {1} photos have a fault: {2}.", str(found[name]), str(count), name),
                Wording("Replace those photos; their faults stand under the photos."),
            )

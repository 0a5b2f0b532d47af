"""The options of a training, validated when they are created. Each field's text states its unit and range."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..prompts import PromptTemplates
from .choices import WORD_METHODS, PriorName
from .conflicts import require_compatible
from .groups.adapter import AdapterFields
from .groups.memory import MemoryFields
from .groups.optimizer import OptimizerFields
from .groups.photos import PhotoFields
from .groups.preview import PreviewFields
from .groups.scores import ScoreFields
from .groups.training import TrainingFields
from .groups.word import WordFields
from .optimizers import OPTIMIZERS, OptimizerKind
from .setting import OptionError as OptionError
from .setting import Setting, require


# A dataclass has the fields of its last base first: these are in the order of GROUPS.
@dataclass(frozen=True, kw_only=True)
class TrainOptions(
    PreviewFields, ScoreFields, MemoryFields, OptimizerFields, WordFields, AdapterFields, PhotoFields, TrainingFields
):
    """The options of one run; `Setting.text` documents each. Those that do not change the trained weights are not part
    of the run's key. Raises OptionError.
    """

    templates: PromptTemplates = field(default_factory=PromptTemplates)

    def __post_init__(self) -> None:
        for name in SETTINGS:
            _check(name, getattr(self, name))
        require(isinstance(self.templates, PromptTemplates), "templates", self.templates, "PromptTemplates")
        require_compatible(self)

    @property
    def prior_in_use(self) -> PriorName:
        """The prior; "off" where its weight is 0 or the method learns a word, which the class prompt lacks."""
        return self.prior if self.prior_weight and not self.learns_word else "off"

    @property
    def optimizer_kind(self) -> OptimizerKind:
        """What is known of the optimizer."""
        return OPTIMIZERS[self.optimizer]

    @property
    def lora_alpha(self) -> float:
        """The LoRA's alpha in effect: the rank where alpha is unset."""
        return self.rank if self.alpha is None else self.alpha

    @property
    def weight_settings(self) -> dict[str, Any]:
        """{option: value} that determine the result, as part of the run's key; ready for JSON."""
        return {name: value for name, value in self.settings.items() if name in _IN_KEY and self._is_in_key(name)}

    def _is_in_key(self, name: str) -> bool:
        """Whether an option is in the run's key: it concerns the method and, if added later, is not at its default."""
        return self._concerns(name) and (name not in _ADDED_LATER or getattr(self, name) != DEFAULTS[name])

    @property
    def learns_word(self) -> bool:
        """Whether the identifier becomes a new word, with vectors of its own."""
        return self.method in WORD_METHODS

    @property
    def adds_word(self) -> bool:
        """Whether the identifier becomes a new word, alone or beside weights."""
        return self.learns_word or self.word_share > 0

    @property
    def trains_conditioning(self) -> bool:
        """Whether the text encoders' outputs change during the training, so that they cannot be cached."""
        return self.train_text_encoder or self.adds_word

    @property
    def settings(self) -> dict[str, Any]:
        """{option: value} of all options, ready for JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        templates = self.templates
        return {**values, "templates": {"instance": templates.instance, "class": templates.class_}}

    def _concerns(self, name: str) -> bool:
        """Whether an option concerns the method."""
        methods = SETTINGS[name].methods if name in SETTINGS else ()
        if name in OF_A_WORD and self.word_share:
            return True
        return name != "word_learning_rate" and (not methods or self.method in methods)


SETTINGS: dict[str, Setting] = {f.name: f.metadata["setting"] for f in fields(TrainOptions) if f.metadata}
"""{field: its Setting} of every field but `templates`."""
TEXTS: dict[str, str] = {name: one.text for name, one in SETTINGS.items()}
"""{field: its unit and range}, for users."""
DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(TrainOptions) if f.name in SETTINGS}
"""{field: its default}."""
OF_A_WORD = ("vectors", "start_word", "word_learning_rate")
"""The fields that concern a word beside weights, whatever the method."""
_HINTS = get_type_hints(TrainOptions)
CHOICES: dict[str, tuple[str, ...]] = {
    name: one.choices or get_args(_HINTS[name])
    for name, one in SETTINGS.items()
    if one.choices or get_origin(_HINTS[name]) is Literal
}
"""{field: its allowed words}, of the fields that are choices."""
KINDS: dict[str, type] = {
    name: str if name in CHOICES else next(iter({*get_args(_HINTS[name])} - {NoneType}), _HINTS[name])
    for name in SETTINGS
}
"""{field: bool, int, float or str}; a choice is a str. A field whose default is None may be None as well."""
_IN_KEY = {"templates", *(name for name, one in SETTINGS.items() if one.changes_weights)}
"""The fields that are part of a run's key."""
_ADDED_LATER = {name for name, one in SETTINGS.items() if one.added_later}
"""Those of them that are left out of it at their default."""


def _check(name: str, value: Any) -> None:
    """Raises OptionError where a field's value is of another type or out of range."""
    kind, one = KINDS[name], SETTINGS[name]
    if value is None and DEFAULTS[name] is None:
        return
    if name in CHOICES:
        require(value in CHOICES[name], name, value, f"one of {', '.join(CHOICES[name])}")
    elif kind is bool:
        require(isinstance(value, bool), name, value, "true or false")
    elif kind is str:
        require(isinstance(value, str), name, value, "a text")
    else:
        # Hosts pass values from workflows and files: a string or a NaN is as likely as a number out of range.
        number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        allowed = f"{'a whole number, ' if kind is int else ''}{one.allowed}"
        require(number and abs(value) <= sys.float_info.max and one.fits(value), name, value, allowed)

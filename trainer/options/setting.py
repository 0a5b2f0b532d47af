"""The properties of a field of `TrainOptions`: text, group and range, from which checks, flags and widgets are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .choices import MethodName

GROUPS = ("training", "photos", "adapter", "word", "optimizer", "memory", "scores", "preview")
"""The groups of settings, in the order in which hosts show them."""


class OptionError(ValueError):
    """An option that is out of range or does not go with others; the message names the value and what is allowed."""


def require(holds: bool, name: str, value: Any, allowed: str) -> None:
    """Raises OptionError unless the condition `holds`."""
    if not holds:
        raise OptionError(f"{name} is {value!r}; it must be {allowed}.")


@dataclass(frozen=True)
class Setting:
    """The properties of a field, besides type and default, from which its validation, command-line flag and widget are
    made.

    text: unit and range, for users. minimum: the least value, or with `open_minimum` an exclusive bound; None: any.
    maximum: the greatest value; None: any. widget_maximum: where a host's widget ends if there is no maximum. step: of
    that widget. changes_weights: whether the trained weights, or which of them are the result, depend on it, so that
    it is part of a run's key. added_later: part of the key only where it is not at its default, so that runs of
    earlier versions keep their keys. methods: those that it concerns; empty: all. choices: the words allowed, where
    the field's type does not list them.
    """

    text: str
    group: str
    minimum: float | None = None
    open_minimum: bool = False
    maximum: float | None = None
    widget_maximum: float = 100_000
    step: float = 0.01
    changes_weights: bool = True
    added_later: bool = False
    methods: tuple[MethodName, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The range of a number, in words."""
        if self.maximum is not None:
            return f"{self.minimum} to {self.maximum}"
        return f"above {self.minimum}" if self.open_minimum else f"{self.minimum} or more"

    @property
    def widget_end(self) -> float:
        """The highest value of a host's widget."""
        return self.widget_maximum if self.maximum is None else self.maximum

    def fits(self, value: float) -> bool:
        """Whether a number is within the range."""
        if self.maximum is not None and value > self.maximum:
            return False
        return self.minimum is None or value > self.minimum or (value == self.minimum and not self.open_minimum)


def field_of(group: str, default: Any, text: str, minimum: float | None = None, **more: Any) -> Any:
    """A field of `TrainOptions` with a default and a `Setting`; `more`: its further properties."""
    return field(default=default, metadata={"setting": Setting(text, group, minimum, **more)})

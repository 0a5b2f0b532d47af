"""`TrainOptions` as flags: one for each field, with the field's own text."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType
from typing import Any, get_args, get_type_hints

from ..trainer.options import CHOICES, TEXTS, MethodName, TrainOptions
from ..trainer.presets import DEFAULT, PRESETS, preset_named
from ..trainer.prompts import PromptTemplates
from .launcher import launched_precision

NONE: Mapping[str, Any] = {}
BY_PRESET = tuple(PRESETS[DEFAULT].options("lora"))


def add_option_flags(parser: argparse.ArgumentParser) -> None:
    """--preset, a flag for each field, and the prompt templates. What is not said stays out of the namespace."""
    several = "Under `accelerate launch` with several processes, --batch-size is that of each."
    group = parser.add_argument_group("training", several)
    preset = f"steps, learning rate and rank where nothing else says them (default: {DEFAULT})"
    group.add_argument("--preset", choices=list(PRESETS), default=DEFAULT, help=preset)
    for name, kind in field_kinds().items():
        group.add_argument(flag(name), default=argparse.SUPPRESS, **_flag_of(name, kind))
    templates = PromptTemplates()
    group.add_argument("--instance-prompt", default=templates.instance, help=f"(default: {templates.instance})")
    add_class_prompt(group)


def field_kinds() -> dict[str, type]:
    """{field of `TrainOptions` that has a text: bool, int, float or str}; a choice is a str."""
    hints = get_type_hints(TrainOptions)
    kinds = {name: next(iter(set(get_args(hints[name])) - {NoneType}), hints[name]) for name in TEXTS}
    return {name: kind if isinstance(kind, type) else str for name, kind in kinds.items()}


def flag(name: str) -> str:
    """A field's flag."""
    return f"--{name.replace('_', '-')}"


def said_default(name: str) -> Any:
    """What a field is where nobody says it; None where the preset says it."""
    return None if name in BY_PRESET else next(field.default for field in fields(TrainOptions) if field.name == name)


def add_class_prompt(parser: argparse._ActionsContainer) -> None:
    """--class-prompt."""
    default = PromptTemplates().class_
    parser.add_argument("--class-prompt", default=default, help=f"of class images (default: {default})")


def chosen_options(arguments: argparse.Namespace, kept: Mapping[str, Any] = NONE) -> TrainOptions:
    """Flags over what the launcher says, over `kept`, over the preset. Raises OptionError, ValueError."""
    said = {**launched_precision(), **{name: value for name, value in vars(arguments).items() if name in TEXTS}}
    method: MethodName = said.get("method", "lora")
    templates = PromptTemplates(arguments.instance_prompt, arguments.class_prompt)
    return TrainOptions(**{**preset_named(arguments.preset).options(method), **kept, **said, "templates": templates})


def _flag_of(name: str, kind: type) -> dict[str, Any]:
    default = said_default(name)
    text = TEXTS[name].replace("%", "%%")
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction, "help": text}
    shown = "the preset's" if name in BY_PRESET else "" if default in (None, "") else f"{default}"
    text = f"{text} (default: {shown})" if shown else text
    if name in CHOICES:
        return {"choices": CHOICES[name], "help": text}
    return {"type": kind, "metavar": {int: "N", float: "X"}.get(kind, "TEXT"), "help": text}

"""`TrainOptions` as flags: one for each field, with the field's own text."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..trainer.options import CHOICES, DEFAULTS, KINDS, SETTINGS, TEXTS, TrainOptions
from ..trainer.options.choices import MethodName
from ..trainer.options.setting import GROUPS
from ..trainer.presets import DEFAULT, PRESETS, preset_named
from ..trainer.prompts import PromptTemplates
from .launcher import launched_precision

NONE: Mapping[str, Any] = {}
BY_PRESET = tuple(PRESETS[DEFAULT].options("lora"))


def add_option_flags(parser: argparse.ArgumentParser) -> None:
    """--preset, a flag for each field, and the prompt templates. What is not said stays out of the namespace."""
    several = "Under `accelerate launch` with several processes, --batch-size is that of each."
    groups = {name: parser.add_argument_group(name, several if name == "training" else None) for name in GROUPS}
    group = groups["training"]
    preset = (
        "steps, learning rate and rank where nothing else says them; person, object, style: steps follow the number of "
        f"photos (default: {DEFAULT})"
    )
    group.add_argument("--preset", choices=list(PRESETS), default=DEFAULT, help=preset)
    for name, one in SETTINGS.items():
        groups[one.group].add_argument(flag(name), default=argparse.SUPPRESS, **_flag_of(name, KINDS[name]))
    templates = PromptTemplates()
    group.add_argument("--instance-prompt", default=templates.instance, help=f"(default: {templates.instance})")
    add_class_prompt(group)


def flag(name: str) -> str:
    """A field's flag."""
    return f"--{name.replace('_', '-')}"


def said_default(name: str) -> Any:
    """What a field is where nobody says it; None where the preset says it."""
    return None if name in BY_PRESET else DEFAULTS[name]


def add_class_prompt(parser: argparse._ActionsContainer) -> None:
    """--class-prompt."""
    default = PromptTemplates().class_
    parser.add_argument("--class-prompt", default=default, help=f"of class images (default: {default})")


def chosen_options(arguments: argparse.Namespace, kept: Mapping[str, Any] = NONE) -> TrainOptions:
    """Flags over what the launcher says, over `kept`, over the preset. Raises OptionError, ValueError."""
    said = {**launched_precision(), **{name: value for name, value in vars(arguments).items() if name in TEXTS}}
    method: MethodName = said.get("method", "lora")
    templates = PromptTemplates(arguments.instance_prompt, arguments.class_prompt)
    preset = preset_named(arguments.preset).options(method, said.get("optimizer", DEFAULTS["optimizer"]))
    return TrainOptions(**{**preset, **kept, **said, "templates": templates})


def with_steps_of_photos(options: TrainOptions, arguments: argparse.Namespace, photos: int) -> TrainOptions:
    """The options with the steps of a preset that follow the number of photos, where no flag says the steps."""
    if "steps" in arguments:
        return options
    return replace(options, steps=preset_named(arguments.preset).steps(options.method, photos))


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

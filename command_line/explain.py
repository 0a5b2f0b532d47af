"""`explain`: what probably went wrong in a run, and the flags of the next one."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answer import answer, say
from .flags import Commands, add_json
from .option_flags import flag
from .past_run import add_run, named_run

if TYPE_CHECKING:
    from ..trainer.runs.explanation import Finding
    from ..trainer.runs.run import Run

NOTHING = "Nothing in the figures of this run says that something went wrong."


def add_parser(commands: Commands) -> None:
    """RUN, and a file for the next one."""
    parser = commands.add_parser("explain", help="what probably went wrong in a run, and what to change")
    add_run(parser)
    file = "write the settings of the next run: train --config=FILE.toml --base=… --photos=…"
    parser.add_argument("--next", type=Path, metavar="FILE.toml", help=file)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what went wrong, the likeliest first."""
    from ..trainer.runs.explanation import changes_of, explain

    chosen = named_run(arguments)
    found = explain(chosen.record)
    changes = changes_of(found)
    if arguments.next is not None:
        write_next(arguments.next, chosen, changes)
        say(f"the next run's settings: {arguments.next}")
    fields = {"run": chosen.record["name"], "findings": [one.record() for one in found], "changes": changes}
    answer(arguments, fields, _text(chosen, found, changes))
    return 0


def _text(chosen: Run, found: list[Finding], changes: Mapping[str, Any]) -> str:
    """For people."""
    lines = [f"{number}. {one.what}\n   {one.advice}" for number, one in enumerate(found, 1)] or [NOTHING]
    if changes:
        lines.append(f"In one go: the same train command with {shlex.join(_flags(changes))}")
    return "\n".join([f"{chosen.record['name']}, {chosen.record.get('status', '')}:", *lines])


def _flags(changes: Mapping[str, Any]) -> list[str]:
    """As words of `train`."""
    return [
        flag(name) if value is True else f"{flag('no_' + name)}" if value is False else f"{flag(name)}={value}"
        for name, value in changes.items()
    ]


def write_next(file: Path, chosen: Run, changes: Mapping[str, Any]) -> Path:
    """Write a configuration for `train`: the run's own settings with the changes. Raises FileExistsError, OSError."""
    if file.exists():
        raise FileExistsError(f"{file} exists: name a new file")
    record = chosen.record
    templates = dict(record["settings"].get("templates", {}))
    settings = {
        **{name: value for name, value in record["settings"].items() if name != "templates" and value is not None},
        "noun": record["class_noun"],
        "identifier": record["identifier"],
        "name": record["name"],
        "priors": record["priors"],
        "width": record["size"][0],
        "height": record["size"][1],
        "instance_prompt": templates.get("instance"),
        "class_prompt": templates.get("class"),
        **changes,
    }
    lines = [f"{name} = {_toml(value)}" for name, value in settings.items() if value not in (None, "")]
    file.write_text("\n".join(["[train]", *lines, ""]), encoding="utf-8")
    return file


def _toml(value: Any) -> str:
    """A text, number or truth as TOML writes it; a JSON string is one of TOML's too."""
    return json.dumps(value, ensure_ascii=False)

"""`choose`: another scored step of a finished run as its result."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from typing import Any

from .answer import answer
from .flags import Commands, add_events, add_json
from .past_run import add_run, named_run
from .stopping import StopSignals


def add_parser(commands: Commands) -> None:
    """RUN and its step; without one, the steps that there are."""
    parser = commands.add_parser("choose", help="make another scored step of a finished run its result")
    add_run(parser)
    parser.add_argument("--step", type=int, metavar="N", help="the step; left out, those that can be chosen are listed")
    add_json(parser)
    add_events(parser)


def run(arguments: argparse.Namespace) -> int:
    """Choose a step, or list those that have a file."""
    out = sys.stdout
    with redirect_stdout(sys.stderr), StopSignals() as stop:
        if arguments.events:
            from .event_lines import EventLines

            with EventLines(out, sys.stdin, stop) as lines:
                lines.tell("result", **_chosen(arguments)[0])
            return stop.status
        fields, text = _chosen(arguments)
    answer(arguments, fields, text)
    return 0


def _chosen(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The choice, or the steps that can be chosen, ready for JSON and for people."""
    from ..trainer.session.choosing import choose_step

    chosen = named_run(arguments)
    name = chosen.record["name"]
    if arguments.step is None:
        steps = chosen.kept.steps()
        return {"run": name, "steps": steps}, f"{name}: {steps}"
    result = choose_step(chosen, arguments.step)
    fields = {"run": name, "step": result.steps, "file": str(result.file), "choice": chosen.record.get("choice", "")}
    return fields, f"step {result.steps} is the result of {name}: {result.file}"

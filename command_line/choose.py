"""`choose`: another scored step of a finished run as its result."""

from __future__ import annotations

import argparse

from .answer import answer
from .flags import Commands, add_json
from .past_run import add_run, named_run


def add_parser(commands: Commands) -> None:
    """RUN and its step; without one, the steps that there are."""
    parser = commands.add_parser("choose", help="make another scored step of a finished run its result")
    add_run(parser)
    parser.add_argument("--step", type=int, metavar="N", help="the step; left out, those that can be chosen are listed")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Choose a step, or list those that have a file."""
    from ..trainer.session.choosing import choose_step

    chosen = named_run(arguments)
    if arguments.step is None:
        steps = chosen.kept.steps()
        answer(arguments, {"run": chosen.record["name"], "steps": steps}, f"{chosen.record['name']}: {steps}")
        return 0
    result = choose_step(chosen, arguments.step)
    fields = {"run": chosen.record["name"], "step": result.steps, "file": str(result.file)}
    answer(arguments, fields, f"step {result.steps} is the result of {chosen.record['name']}: {result.file}")
    return 0

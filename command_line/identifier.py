"""`identifier`: rare tokens, and what they mean to a model."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .answer import answer
from .flags import COUNT, Commands, add_base, add_events, add_json
from .stopping import StopSignals

if TYPE_CHECKING:
    from .progress import Bar


def add_parser(commands: Commands) -> None:
    """Length, seed, number; base and noun to measure them."""
    parser = commands.add_parser("identifier", help="find a word that means nothing: the subject's name, [V]")
    parser.add_argument("--length", type=int, default=1, metavar="N", help="tokens, 1 to 3 (default: 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="0 or more (default: 0)")
    parser.add_argument("--count", type=int, default=COUNT, metavar="N", help=f"candidates (default: {COUNT})")
    add_base(parser, required=False)
    parser.add_argument("--noun", default="", help="what the subject is; with --base, ranks by 'a X dog'")
    add_json(parser)
    add_events(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the candidates, the best one first."""
    if (arguments.base is None) is bool(arguments.noun.strip()):
        raise ValueError("--base and --noun go together: the prior is measured in a model, as 'a X dog'")
    out = sys.stdout
    with redirect_stdout(sys.stderr), StopSignals() as stop:
        from .progress import terminal_bar

        if not arguments.events:
            fields, text = _looked_up(arguments, terminal_bar)
        else:
            from .event_lines import EventLines

            with EventLines(out, sys.stdin, stop) as lines:
                fields, text = _looked_up(arguments, lines.bar)
                lines.tell("result", **fields, report=text)
            return stop.status
    answer(arguments, fields, text)
    return 0


def _looked_up(arguments: argparse.Namespace, bar: Bar) -> tuple[dict[str, Any], str]:
    """The result, ready for JSON and for people."""
    from ..trainer.prompts import checked_class_noun
    from ..trainer.subject.identifier import candidate_table
    from .base_model import BaseModel
    from .lookup import candidates, ranked

    base = None if arguments.base is None else BaseModel(arguments)
    found = candidates(base, arguments.length, arguments.seed, arguments.count)
    if base is not None:
        found = ranked(found, base, checked_class_noun(arguments.noun), bar)
    fields = {"identifier": found[0].text, "candidates": [asdict(candidate) for candidate in found]}
    return fields, candidate_table(found, class_noun=arguments.noun.strip() or "[class]")

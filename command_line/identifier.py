"""`identifier`: rare tokens, and what they mean to a model."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from dataclasses import asdict

from .answer import answer
from .flags import Commands, add_base, add_json

COUNT = 16


def add_parser(commands: Commands) -> None:
    """Length, seed, number; base and noun to measure them."""
    parser = commands.add_parser("identifier", help="find a word that means nothing: the subject's name, [V]")
    parser.add_argument("--length", type=int, default=1, metavar="N", help="tokens, 1 to 3 (default: 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="0 or more (default: 0)")
    parser.add_argument("--count", type=int, default=COUNT, metavar="N", help=f"candidates (default: {COUNT})")
    add_base(parser, required=False)
    parser.add_argument("--noun", default="", help="what the subject is; with --base, ranks by 'a X dog'")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the candidates, the best one first."""
    if (arguments.base is None) is bool(arguments.noun.strip()):
        raise ValueError("--base and --noun go together: the prior is measured in a model, as 'a X dog'")
    with redirect_stdout(sys.stderr):
        from ..trainer.identifier import report
        from ..trainer.prompts import checked_class_noun
        from .base_model import BaseModel
        from .lookup import candidates, ranked

        base = None if arguments.base is None else BaseModel(arguments)
        found = candidates(base, arguments.length, arguments.seed, arguments.count)
        if base is not None:
            found = ranked(found, base, checked_class_noun(arguments.noun))
    fields = {"identifier": found[0].text, "candidates": [asdict(candidate) for candidate in found]}
    answer(arguments, fields, report(found, class_noun=arguments.noun.strip() or "[class]"))
    return 0

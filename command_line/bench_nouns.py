"""`bench-nouns`: where the right class noun comes among those that the embedded base suggests."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from .answer import answer, say
from .flags import Commands, add_json


def add_parser(commands: Commands) -> None:
    """Subjects."""
    bench = commands.add_parser("bench-nouns", help="suggested class nouns of the embedded base's held-out subjects")
    bench.add_argument("--subjects", nargs="*", default=(), metavar="NAME", help="some of them (default: all twelve)")
    add_json(bench)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; 0."""
    from ..bench.class_nouns import measured, table

    answers = []
    for one in measured(arguments.subjects):
        say(f"{one.name}: {one.noun} at place {one.rank or '-'}, after {one.seconds:.0f} s")
        answers.append(one)
    answer(arguments, {"subjects": [{**asdict(one), "rank": one.rank} for one in answers]}, table(answers))
    return 0

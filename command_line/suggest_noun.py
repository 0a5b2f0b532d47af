"""`suggest-noun`: the class nouns that fit photos, with their odds."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answer import answer
from .flags import Commands, add_base, add_events, add_json, add_size
from .stopping import StopSignals

if TYPE_CHECKING:
    from .progress import Bar


def add_parser(commands: Commands) -> None:
    """Base, photos, and a CLIP that looks first."""
    parser = commands.add_parser("suggest-noun", help="what do the photos show, by the base's own answer?")
    add_base(parser)
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER", help="3 to 5 photos of one subject")
    clip = "a CLIP model of transformers: it chooses eight nouns, which the base puts in order"
    parser.add_argument("--clip", type=Path, metavar="FOLDER", help=clip)
    add_size(parser)
    add_json(parser)
    add_events(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the nouns, the likeliest first; 0, or 128 + the signal that stopped it."""
    out = sys.stdout
    with redirect_stdout(sys.stderr), StopSignals() as stop:
        from .progress import terminal_bar

        if arguments.events:
            from .event_lines import EventLines

            with EventLines(out, sys.stdin, stop) as lines:
                fields, text = _suggested(arguments, lines.bar)
                lines.tell("result", **fields, report=text)
            return stop.status
        fields, text = _suggested(arguments, terminal_bar)
    answer(arguments, fields, text)
    return 0


def _suggested(arguments: argparse.Namespace, bar: Bar) -> tuple[dict[str, Any], str]:
    """The nouns, ready for JSON and for people."""
    import torch

    from ..trainer.subject.class_nouns import noun_table
    from ..trainer.subject.photos import read_folder
    from .base_model import BaseModel
    from .nouns import suggested

    base = BaseModel(arguments)
    photos = read_folder(arguments.photos, *base.size(arguments))
    found = suggested(torch.stack([photo.pixels for photo in photos]), base, arguments.clip, bar)
    return {"noun": found[0].noun, "nouns": [asdict(one) for one in found]}, noun_table(found)

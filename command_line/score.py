"""`score`: how far pictures are like a subject's photos, and follow their prompt."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from .answer import answer
from .encoders import add_encoders
from .flags import Commands, add_json

if TYPE_CHECKING:
    from ..trainer.scores.scorer import Scorer

SIZE = 224
"""Pixels a side that DINO and CLIP compare pictures at."""


def add_parser(commands: Commands) -> None:
    """Pictures, photos, the prompt, what looks at them, and the plot."""
    parser = commands.add_parser("score", help="how like a subject are pictures, and do they follow their prompt?")
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER", help="what a model drew")
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER", help="of the subject")
    asked = "what all pictures were asked to show, without the identifier: a dog on the beach (default: not measured)"
    parser.add_argument("--prompt", default="", help=asked)
    add_encoders(parser)
    judge = "the toy base's judge, which knows that base's pictures alone, in place of --dino and --clip"
    parser.add_argument("--judge", action="store_true", help=judge)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture of each likeness as a bar (.png)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; 0."""
    with redirect_stdout(sys.stderr):
        import torch

        from ..toybase.judge_networks import SIZE as JUDGE_SIZE
        from ..trainer.files.atomic import write_atomically
        from ..trainer.scores.fidelity import fidelity
        from ..trainer.scores.fidelity_plot import fidelity_plot
        from ..trainer.subject.photos import read_folder

        scorer = _scorer(arguments)
        size = JUDGE_SIZE if arguments.judge else SIZE
        drawn, photos = (read_folder(folder, size, size) for folder in (arguments.pictures, arguments.photos))
        pictures, real = (torch.stack([one.pixels for one in read]) for read in (drawn, photos))
        texts = [arguments.prompt] * len(drawn) if arguments.prompt else None
        found = fidelity(scorer, [one.name for one in drawn], pictures, real, texts)
        if arguments.plot:
            write_atomically(arguments.plot, lambda part: fidelity_plot(found).save(part, "PNG"))
    answer(arguments, asdict(found), found.table)
    return 0


def _scorer(arguments: argparse.Namespace) -> Scorer:
    """What looks at the pictures. Raises ValueError where none is named, or two are."""
    from ..toybase.judge_scorer import JudgeScorer
    from .encoders import scorer_of

    if arguments.judge == bool(arguments.dino or arguments.clip):
        raise ValueError("name what looks at the pictures: --dino and --clip, either alone, or --judge")
    found = JudgeScorer() if arguments.judge else scorer_of(arguments.dino, arguments.clip, {})
    assert found is not None
    return found

"""`priors`: draws class images before a training asks for them."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout

from .answer import answer
from .flags import Commands, add_base, add_json, add_output, add_priors, add_size, store
from .launcher import launched_count
from .option_flags import add_class_prompt
from .processes import together
from .stopping import StopSignals

COUNT = 200


def add_parser(commands: Commands) -> None:
    """Base, noun, how many, and how they are drawn."""
    parser = commands.add_parser("priors", help="draw class images, which train then finds")
    add_base(parser)
    parser.add_argument("--noun", required=True, help="what the subject is, such as dog")
    add_size(parser)
    add_output(parser)
    add_json(parser)
    add_priors(parser, f"{COUNT}")
    add_class_prompt(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw what is missing and name the folder."""
    several = launched_count() > 1
    with redirect_stdout(sys.stderr), StopSignals(several) as stop, together(arguments.device) as ranks:
        from ..trainer.prompts import PromptTemplates, checked_class_noun
        from ..trainer.sampling.prior_recipe import PriorsError
        from .base_model import BaseModel
        from .class_images import drawn, missing, planned
        from .progress import Silence, terminal_bar

        noun = checked_class_noun(arguments.noun)
        prompt = PromptTemplates(class_=arguments.class_prompt).class_prompt(noun)
        base = BaseModel(arguments, store(arguments).hashes if ranks.first else None)
        count = COUNT if arguments.priors is None else arguments.priors
        if count < 1:
            raise PriorsError(f"priors is {count}; it must be 1 or more.")
        sizes = {base.size(arguments): 1}
        priors = planned(arguments, base, noun, prompt, count, store(arguments).work / "priors", sizes)
        new = missing(priors)
        bar = terminal_bar if ranks.first else Silence().bar
        drawn(priors, base, arguments.prior_batch_size, "auto", ranks, stop, bar)
    if not ranks.first:
        return 0
    folder = str(priors.folder.resolve())
    answer(arguments, {"folder": folder, "prompt": prompt, "count": count, "drawn": new}, folder)
    return 0

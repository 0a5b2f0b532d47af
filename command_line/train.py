"""`train`: teaches a base the subject and saves the file."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from .answer import answer
from .encoders import add_encoders
from .flags import (
    IF_BEGUN,
    REQUIRED,
    Commands,
    add_base,
    add_events,
    add_json,
    add_model_folders,
    add_output,
    add_priors,
    add_size,
)
from .launcher import launched_count
from .option_flags import add_option_flags
from .processes import together
from .stopping import StopSignals


def add_parser(commands: Commands) -> None:
    """Base, subject, `TrainOptions`, class images, output."""
    parser = commands.add_parser("train", help="teach a base your subject, and save a LoRA or a checkpoint")
    add_base(parser)
    photos = "3 to 5 photos of the subject; or folders of several subjects, such as '10_sks dog': each photo 10 times"
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER", help=photos)
    noun = "what the subject is, such as dog; auto: what `suggest-noun` puts first (default: as its folder is named)"
    parser.add_argument("--noun", default="", help=noun)
    word = "[V], the subject's name (default: auto: as its folder is named, else the rare token that means least to "
    word += "this base)"
    parser.add_argument("--identifier", default="auto", help=word)
    add_size(parser)
    whole = "train each photo in its own shape, at about WIDTH x HEIGHT pixels, rather than cropped to that size"
    parser.add_argument("--buckets", action=argparse.BooleanOptionalAction, default=False, help=whole)
    close = "close-ups of each photo of at least twice the size, 0 to 4: half of its crop, larger (default: 0)"
    parser.add_argument("--close-ups", type=int, default=0, metavar="N", help=close)
    parser.add_argument("--name", default="", help="of the file; a number is put after it (default: the folder's)")
    begin = "a LoRA to go on from, a file or a folder of any tool's, with its rank and alpha"
    parser.add_argument("--continue-from", type=Path, metavar="PATH", help=begin)
    again = (
        "go on with this run where it was stopped or died; refused, with the reasons, where it is not the same run; "
    )
    again += f"={IF_BEGUN}: begun where there is none to go on with"
    parser.add_argument("--resume", nargs="?", const=REQUIRED, default="", choices=(REQUIRED, IF_BEGUN), help=again)
    add_output(parser)
    add_model_folders(parser)
    add_json(parser)
    add_events(parser)
    add_option_flags(parser)
    add_encoders(parser)
    add_priors(parser, "the preset's, 64, 100 or 200; 0: none", own_images=True)


def run(arguments: argparse.Namespace) -> int:
    """Train; 0, or 128 + the signal that stopped it."""
    out, several = sys.stdout, launched_count() > 1
    with redirect_stdout(sys.stderr), StopSignals(several) as stop, together(arguments.device) as ranks:
        from .event_lines import EventLines
        from .progress import Progress, Silence
        from .teaching import Teaching

        if not ranks.first:
            Teaching(arguments, stop, Silence(), ranks).result()
            return 0
        if arguments.events:
            with EventLines(out, sys.stdin, stop) as lines:
                lines.tell("result", **Teaching(arguments, stop, lines, ranks).result())
            return stop.status
        result = Teaching(arguments, stop, Progress(stop), ranks).result()
        with redirect_stdout(out):
            answer(arguments, result, summary(result))
    return stop.status


def summary(result: dict[str, Any]) -> str:
    """The same for people."""
    speed = f"{result['seconds_of_training']:.0f} s, {result['steps_per_second']:.2f} a second"
    found = " (found on disk, not trained again)" if result["found"] else ""
    stopped = f" of {result['settings']['steps']}, stopped" if result["status"] == "stopped" else ""
    chosen = f"\nchosen:  {result['choice']}" if result["choice"] else ""
    return (
        f"file:    {result['file']}{found}\n"
        f"trigger: {result['trigger']}\n"
        f"steps:   {result['steps']}{stopped} in {speed}{chosen}"
    )

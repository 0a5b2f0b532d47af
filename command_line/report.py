"""`report`: a zip about a run, for an issue."""

from __future__ import annotations

import argparse
from pathlib import Path

from .answer import answer
from .flags import Commands, add_json
from .past_run import add_run, named_run


def add_parser(commands: Commands) -> None:
    """RUN and the zip."""
    text = "a zip about a run, to attach where you ask for help: no photo, no path, no user name"
    parser = commands.add_parser("report", help=text)
    add_run(parser)
    file = "(default: dreambooth-report-KEY.zip here)"
    parser.add_argument("--zip", type=Path, metavar="FILE.zip", help=file)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the zip and say what is in it."""
    from ..trainer.runs.report import report_files, write_report

    chosen = named_run(arguments)
    file = write_report(chosen, arguments.zip or Path(f"dreambooth-report-{chosen.key[:8]}.zip"))
    names = list(report_files(chosen))
    text = (
        f"{file}: {', '.join(names)}. No photo, path, user name or name of the run is in it; look before you post it."
    )
    answer(arguments, {"file": str(file.resolve()), "contents": names}, text)
    return 0

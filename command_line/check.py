"""`check`: whether and how fast this machine trains, in at most five minutes and without any model."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from .answer import answer, say
from .flags import Commands, add_device, add_events, add_json
from .stopping import StopSignals

if TYPE_CHECKING:
    from ..machine_check.check import Show
    from ..machine_check.report import Report

HELP = "does this machine train, and how fast? at most 5 minutes, nothing is downloaded; a report to paste"


def add_parser(commands: Commands) -> None:
    """The device and the form."""
    parser = commands.add_parser("check", help=HELP)
    add_device(parser)
    form = "small models instead of SD 1.5, SDXL and a DiT at full size (default: on all but NVIDIA and AMD GPUs)"
    parser.add_argument("--small", action=argparse.BooleanOptionalAction, help=form)
    add_json(parser)
    add_events(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check and print the report; 0 where no part failed, else 1; 128 + the signal that stopped it."""
    out = sys.stdout
    with redirect_stdout(sys.stderr), StopSignals() as stop:
        if not arguments.events:
            report = _report(arguments, lambda what, done, total: say(f"{done}/{total} {what}"))
        else:
            from .event_lines import EventLines

            with EventLines(out, sys.stdin, stop) as lines:
                report = _report(arguments, lines.progress)
                lines.tell("result", **report.record(), report=report.text())
            return stop.status
    answer(arguments, report.record(), report.text())
    return int(report.failed)


def _report(arguments: argparse.Namespace, show: Show) -> Report:
    """The check of --device."""
    from ..machine_check.check import check_machine
    from .device import chosen_device

    return check_machine(chosen_device(arguments.device), show, arguments.small)

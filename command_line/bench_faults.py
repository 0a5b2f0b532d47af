"""`bench-faults`: deaths, bad inputs, a full disk, two jobs, and whether each ends as promised."""

from __future__ import annotations

import argparse
from pathlib import Path

from .flags import ROOT, Commands


def add_parser(commands: Commands) -> None:
    """How much of it, and where the table goes."""
    bench = commands.add_parser("bench-faults", help="what survives deaths, bad inputs, a full disk and two jobs")
    bench.add_argument("--small", action="store_true", help="a minute of it")
    bench.add_argument("--only", default="", metavar="PART", help="inputs, deaths, full_disk, two_jobs or memory")
    output = "for faults.md and faults.json (default: .cache/faults)"
    bench.add_argument("--output", type=Path, default=ROOT / ".cache" / "faults", metavar="FOLDER", help=output)


def run(arguments: argparse.Namespace) -> int:
    """Break everything; the exit status."""
    from ..bench.faults.command import run as run_bench

    return run_bench(arguments)

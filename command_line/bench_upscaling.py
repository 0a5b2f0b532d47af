"""`bench-upscaling`: the subject's details, enlarged by bicubic interpolation, the upscaler, and the tuned upscaler."""

from __future__ import annotations

import argparse
from pathlib import Path

from .flags import ROOT, Commands


def add_parser(commands: Commands) -> None:
    """Which subjects at which noise levels."""
    bench = commands.add_parser("bench-upscaling", help="personalized super-resolution on held-out subjects")
    bench.add_argument("--icons", type=Path, required=True, metavar="FOLDER", help="the packed npm packages of icons")
    bench.add_argument("--cache", type=Path, default=Path("icons.npz"), metavar="FILE", help="of rendered icons")
    bench.add_argument("--subjects", nargs="+", default=(), metavar="NAME", help="of toybase/subjects (default: all)")
    levels = "noise levels, 0 to 350, at which it is tuned and enlarges (default: 0)"
    bench.add_argument("--levels", type=int, nargs="+", default=[0], metavar="N", help=levels)
    bench.add_argument("--steps", type=int, default=100, metavar="N", help="of each tuning (default: 100)")
    bench.add_argument("--batch-size", type=int, default=2, metavar="N", help="photos a step (default: 2)")
    bench.add_argument("--learning-rate", type=float, default=2e-3, metavar="RATE", help="(default: 0.002)")
    bench.add_argument("--weights", type=Path, metavar="FOLDER", help="of a stored upscaler (default: toybase's)")
    output = "for upscaling.md, sheets and what is measured, which is kept (default: .cache/upscaling)"
    bench.add_argument("--output", type=Path, default=ROOT / ".cache" / "upscaling", metavar="FOLDER", help=output)


def run(arguments: argparse.Namespace) -> int:
    """Measure; the exit status."""
    from ..bench.upscaling.command import run as run_bench

    return run_bench(arguments)

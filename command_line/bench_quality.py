"""`bench-quality`: likeness and prompt following, ours beside rivals'."""

from __future__ import annotations

import argparse
from pathlib import Path

from .flags import ROOT, Commands


def add_parser(commands: Commands) -> None:
    """Which rows and subjects, on which base, judged by what."""
    bench = commands.add_parser("bench-quality", help="likeness and prompt following, rows by subjects")
    bench.add_argument("--full", action="store_true", help="every row and every subject: some hours on two cores")
    bench.add_argument("--ablations", action="store_true", help="and rows for class noun, identifier, number of photos")
    bench.add_argument("--settings", action="store_true", help="and rows for steps, rates, rank, λ and class images")
    bench.add_argument("--priors", action="store_true", help="and rows for priors without class images")
    bench.add_argument("--rows", nargs="+", default=(), metavar="NAME", help="these alone, of the rows asked for")
    table = "measure what bench/quality/trainings.csv lacks, append it, and compare the rows over subjects"
    bench.add_argument("--trainings", action="store_true", help=table)
    bench.add_argument("--seeds", type=int, default=2, metavar="N", help="trainings of each, with it (default: 2)")
    bench.add_argument("--subjects", nargs="+", default=(), metavar="NAME", help="of toybase/subjects")
    bench.add_argument("--diffusers", type=Path, metavar="FOLDER", help="their examples/dreambooth, as rivals")
    bench.add_argument("--comfyui", action="store_true", help="core's TrainLoraNode in a real ComfyUI, as a rival")
    other = "another base in both layouts (default: toybase)"
    bench.add_argument("--base", type=Path, nargs=2, metavar=("CHECKPOINT", "FOLDER"), default=(), help=other)
    bench.add_argument("--photos", type=Path, metavar="FOLDER", help="photos of a subject of your own")
    bench.add_argument("--noun", default="", help="what they show, such as dog")
    missable = (
        "ask what can be missed: two attributes, no place (those of the photos must not come), two places at once"
    )
    bench.add_argument("--missable", action="store_true", help=missable)
    bench.add_argument("--prompts", type=Path, metavar="FILE", help="one a line: a [V] {class} in the jungle")
    bench.add_argument("--dino", type=Path, metavar="FOLDER", help="a DINO model of transformers, to judge likeness")
    bench.add_argument("--clip", type=Path, metavar="FOLDER", help="a CLIP model, to judge prompt following")
    bench.add_argument("--size", type=int, default=128, help="pixels (default: 128, toybase's own)")
    output = "for quality.md, quality.json, pictures, and the kept cells (default: .cache/quality)"
    bench.add_argument("--output", type=Path, default=ROOT / ".cache" / "quality", metavar="FOLDER", help=output)


def run(arguments: argparse.Namespace) -> int:
    """Measure; the exit status."""
    from ..bench.quality.command import run as run_bench

    return run_bench(arguments)

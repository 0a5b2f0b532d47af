"""`bench-speed`: our trainer beside diffusers' scripts."""

from __future__ import annotations

import argparse
from pathlib import Path

from .flags import ROOT, Commands


def add_parser(commands: Commands) -> None:
    """What is measured, on which base, how often."""
    bench = commands.add_parser("bench-speed", help="steps per second and memory beside diffusers' scripts")
    bench.add_argument("--diffusers", type=Path, required=True, metavar="FOLDER", help="their examples/dreambooth")
    bench.add_argument("--methods", nargs="+", choices=("lora", "full"), default=("lora", "full"))
    bench.add_argument("--rounds", type=int, default=3, help="measurements of each side (default: 3)")
    bench.add_argument("--steps", type=int, default=50, help="of each training, the first 10 not counted (default: 50)")
    bench.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    bench.add_argument("--resolution", type=int, default=64, help="pixels (default: 64, toybase's own)")
    bench.add_argument("--cached-prompts", action="store_true", help="their --pre_compute_text_embeddings as well")
    other = "another base in both layouts (default: toybase)"
    bench.add_argument("--base", type=Path, nargs=2, metavar=("CHECKPOINT", "FOLDER"), default=(), help=other)
    output = "for speed.md, speed.json and logs (default: .cache/bench)"
    bench.add_argument("--output", type=Path, default=ROOT / ".cache" / "bench", metavar="FOLDER", help=output)


def run(arguments: argparse.Namespace) -> int:
    """Measure; the exit status."""
    from ..bench.speed import run as run_bench

    return run_bench(arguments)

"""`bench-speed`: our trainer beside its rivals and beside the machine's limit."""

from __future__ import annotations

import argparse
from pathlib import Path

from .flags import ROOT, Commands

PARTS = ("limit", "rounds", "growth", "real")


def add_parser(commands: Commands) -> None:
    """Which rivals, which parts, how often."""
    bench = commands.add_parser("bench-speed", help="speed and memory beside rivals and the machine's limit")
    bench.add_argument("--diffusers", type=Path, metavar="FOLDER", help="examples/dreambooth of diffusers' sources")
    bench.add_argument("--comfyui", action="store_true", help="ComfyUI's own TrainLoraNode, in a real ComfyUI")
    bench.add_argument("--kohya", type=Path, metavar="FOLDER", help="kohya's sd-scripts, at real size (needs a GPU)")
    bench.add_argument("--cached-prompts", action="store_true", help="diffusers' --pre_compute_text_embeddings as well")
    bench.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured (default: all)")
    bench.add_argument("--methods", nargs="+", choices=("lora", "full"), default=("lora", "full"))
    bench.add_argument("--rounds", type=int, default=3, help="measurements of each side (default: 3)")
    bench.add_argument("--steps", type=int, default=50, help="of each training, the first 10 not counted (default: 50)")
    bench.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of all sides, on toybase")
    output = "for speed.md, speed.json and logs (default: .cache/bench)"
    bench.add_argument("--output", type=Path, default=ROOT / ".cache" / "bench", metavar="FOLDER", help=output)


def run(arguments: argparse.Namespace) -> int:
    """Measure; the exit status."""
    from ..bench.speed.command import run as run_bench

    return run_bench(arguments)

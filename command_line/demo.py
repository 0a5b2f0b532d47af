"""`demo`: the example graph in a real ComfyUI."""

from __future__ import annotations

import argparse
from pathlib import Path

from .flags import ROOT, Commands


def add_parser(commands: Commands) -> None:
    """Subject, method, output, and whether to make the repository's pictures."""
    demo = commands.add_parser("demo", help="run the example graph in a real ComfyUI")
    demo.add_argument("--subject", default="", help="an example subject (default: the graph's own)")
    demo.add_argument("--method", default="", help="lora or full (default: the graph's own)")
    demo.add_argument("--output", type=Path, default=ROOT / "demo_output", metavar="FOLDER")
    demo.add_argument(
        "--pictures", action="store_true", help="run every template, and make the repository's pictures anew"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run it; the exit status."""
    from ..demo.command import run as run_demo

    return run_demo(arguments)

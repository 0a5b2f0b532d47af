"""`demo`: the example graph in a real ComfyUI."""

from __future__ import annotations

import argparse
from pathlib import Path

from .flags import ROOT, Commands


def add_parser(commands: Commands) -> None:
    """Subject, method, output."""
    demo = commands.add_parser("demo", help="run the example graph in a real ComfyUI")
    demo.add_argument("--subject", default="", help="an example subject (default: the graph's own)")
    demo.add_argument("--method", default="", help="lora or full (default: the graph's own)")
    demo.add_argument("--output", type=Path, default=ROOT / "demo_output", metavar="FOLDER")


def run(arguments: argparse.Namespace) -> int:
    """Run it; the exit status."""
    from ..demo.run import run as run_demo

    return run_demo(arguments)

"""`merge`: several LoRAs in one."""

from __future__ import annotations

import argparse
from pathlib import Path

from .flags import Commands
from .sum_of_loras import add_flags, write_sum


def add_parser(commands: Commands) -> None:
    """The LoRAs with their strengths, and where to."""
    said = "One LoRA that does what several do together, each at its strength. How far it is from that is told."
    parser = commands.add_parser("merge", help="write several LoRAs as one", description=said)
    parser.add_argument("loras", type=Path, nargs="+", metavar="LORA", help="of any tool, files or folders")
    parser.add_argument("--to", type=Path, required=True, dest="target", metavar="TARGET", help="the new file")
    strengths = "of each LoRA, in their order (default: 1 each)"
    parser.add_argument("--strengths", type=float, nargs="+", metavar="X", help=strengths)
    rank = "the greatest of a layer (default: 0, as many as lose nothing)"
    parser.add_argument("--rank", type=int, default=0, metavar="N", help=rank)
    add_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Merge; the exit status. Raises ValueError for other than one strength for each LoRA."""
    loras = arguments.loras
    strengths = arguments.strengths or [1.0] * len(loras)
    if len(strengths) != len(loras):
        raise ValueError(f"--strengths has {len(strengths)} numbers, and there are {len(loras)} LoRAs: one of each")
    return write_sum(arguments, loras, strengths)

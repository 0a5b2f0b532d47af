"""`resize`: a LoRA at another rank."""

from __future__ import annotations

import argparse
from pathlib import Path

from .flags import Commands
from .sum_of_loras import add_flags, write_sum


def add_parser(commands: Commands) -> None:
    """The LoRA, where to, and the rank."""
    said = "The nearest LoRA of a lower rank, by singular values; how far it is from that is told by layer and rank."
    parser = commands.add_parser("resize", help="write a LoRA at a lower rank", description=said)
    parser.add_argument("lora", type=Path, metavar="LORA", help="of any tool, a file or a folder")
    parser.add_argument("target", type=Path, metavar="TARGET", help="the new file")
    rank = "the greatest of a layer; 0: as many as lose nothing"
    parser.add_argument("--rank", type=int, required=True, metavar="N", help=rank)
    add_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Resize; the exit status."""
    return write_sum(arguments, [arguments.lora], [1.0])

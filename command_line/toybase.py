"""`toybase`: writes the embedded base model as a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from .answer import answer
from .flags import Commands, add_json


def add_parser(commands: Commands) -> None:
    """FILE.safetensors."""
    parser = commands.add_parser("toybase", help="write the embedded base model as a checkpoint")
    parser.add_argument("file", type=Path, metavar="FILE.safetensors")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file and name it."""
    from ..toybase.writer import write_checkpoint

    file = write_checkpoint(arguments.file)
    answer(arguments, {"file": str(file)}, str(file))
    return 0

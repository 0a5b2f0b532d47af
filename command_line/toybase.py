"""`toybase`: writes the embedded base model as a checkpoint, or the embedded upscaler as a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from .answer import answer
from .flags import Commands, add_json


def add_parser(commands: Commands) -> None:
    """FILE.safetensors, or with --upscaler a new FOLDER."""
    parser = commands.add_parser("toybase", help="write the embedded base model as a checkpoint")
    parser.add_argument("file", type=Path, metavar="FILE.safetensors")
    upscaler = "write the embedded upscaler instead, as a new diffusers folder"
    parser.add_argument("--upscaler", action="store_true", help=upscaler)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file or folder and name it."""
    from ..toybase.diffusers_folder import write_upscaler_folder
    from ..toybase.writer import write_checkpoint

    file = write_upscaler_folder(arguments.file) if arguments.upscaler else write_checkpoint(arguments.file)
    answer(arguments, {"file": str(file)}, str(file))
    return 0

"""`apply-check`: whether a LoRA, a learned word or a checkpoint fits a base, from the files' headers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from .answer import answer
from .flags import Commands, add_json, add_separate_files

if TYPE_CHECKING:
    from ..trainer.export.compatibility import Compatibility

SHOWN = 20
"""The most keys of a kind that are shown."""
SAME = {
    True: "trained from this base",
    False: "trained from another base",
    None: "does not say what it was trained from",
}


def add_parser(commands: Commands) -> None:
    """The file and the base."""
    parser = commands.add_parser("apply-check", help="does a result fit a base? exit status 1: no")
    parser.add_argument("file", type=Path, metavar="FILE", help="a LoRA or a learned word of any tool, or a checkpoint")
    parser.add_argument("base", type=Path, metavar="BASE", help="in any form that train takes as its --base")
    add_separate_files(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what fits and what does not; 0 where all of it fits, else 1."""
    with redirect_stdout(sys.stderr):
        from ..trainer.export.compatibility import check_applies
        from .base_model import named_source

        found = check_applies(arguments.file, named_source(arguments))
    answer(arguments, found.record(), "\n".join(_lines(arguments.file.name, found)))
    return 0 if found.fits else 1


def _lines(name: str, found: Compatibility) -> Iterator[str]:
    things = "layers" if found.kind == "lora" else "tensors"
    yield f"{name}: {found.matched} {things} {'fit' if found.fits else 'have a place'}; it {_said(found.same_base)}"
    lists = {"no place": found.unmatched, "missing": found.missing, "misshapen": found.misshapen}
    for what, keys in {**lists, "left out": found.left_out}.items():
        yield from (f"{what}: {key}" for key in keys[:SHOWN])
        if len(keys) > SHOWN:
            yield f"{what}: … {len(keys)} in all; --json lists them"


def _said(same_base: bool | None) -> str:
    return f"{'was ' if same_base is not None else ''}{SAME[same_base]}"

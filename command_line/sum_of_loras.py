"""What `resize` and `merge` have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path

from ..trainer.export.layouts import DTYPES
from .answer import answer, say_warnings
from .flags import add_json, add_separate_files


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add --base, --dtype and --json."""
    base = "a model of their kind, as train takes it, whose layers they change; only its header is read"
    parser.add_argument("--base", type=Path, required=True, metavar="PATH", help=base)
    add_separate_files(parser)
    parser.add_argument("--dtype", choices=DTYPES, default="fp16", help="of the weights (default: fp16)")
    add_json(parser)


def write_sum(arguments: argparse.Namespace, loras: Sequence[Path], strengths: Sequence[float]) -> int:
    """Write the sum of these LoRAs to `arguments.target`, and print its path and errors. Raises ValueError for what
    cannot be done.
    """
    with redirect_stdout(sys.stderr):
        from ..trainer.export.sum_of_loras import SumOfLoras, sum_loras
        from ..trainer.model.layers import layers_in
        from .base_model import named_source

        done = sum_loras(
            SumOfLoras(
                sources=tuple(zip(loras, strengths, strict=True)),
                target=with_ending(arguments.target),
                layers=layers_in(named_source(arguments)),
                rank=arguments.rank,
                dtype=arguments.dtype,
            )
        )
    say_warnings(done.warnings)
    text = "\n".join((str(done.path), done.error.summary, *done.error.details))
    answer(arguments, {"path": str(done.path), "error": asdict(done.error)}, text)
    return 0


def with_ending(target: Path) -> Path:
    """The path of a file of weights, with its ending."""
    return target if target.suffix == ".safetensors" else target.with_name(f"{target.name}.safetensors")

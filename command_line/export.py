"""`export`: a LoRA or a checkpoint in another layout."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..trainer.export.layouts import DTYPES
from .answer import answer, say_warnings
from .flags import Commands, add_json, add_separate_files
from .sum_of_loras import with_ending

LAYOUTS = {
    "kohya": "a LoRA for ComfyUI, Forge, A1111 and kohya's tools",
    "diffusers": "a LoRA for diffusers' load_lora_weights",
    "checkpoint": "one whole .safetensors file; a LoRA is merged into --base",
    "diffusers-folder": "a folder for diffusers' from_pretrained; a LoRA is merged into --base",
    "lidb": "what the method lidb trained, as one tensor of some kB; as kohya, it is a LoRA again",
    "difference": "a checkpoint as a small LoRA of --rank, against --base",
}


def add_parser(commands: Commands) -> None:
    """Source, layout, where to, and what the layout needs."""
    said = "; ".join(f"{name}: {text}" for name, text in LAYOUTS.items())
    parser = commands.add_parser("export", help="write a result in another layout", description=f"Layouts. {said}.")
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a LoRA of any tool, a checkpoint, or a folder")
    parser.add_argument("layout", choices=LAYOUTS)
    parser.add_argument("target", type=Path, metavar="TARGET", help="the new file, or the new folder")
    base = "what SOURCE was trained from, as train takes it: names of layers, and weights to merge with or to subtract"
    parser.add_argument("--base", type=Path, metavar="PATH", help=base)
    add_separate_files(parser)
    parser.add_argument("--rank", type=int, default=32, metavar="N", help="of a difference (default: 32)")
    parser.add_argument("--dtype", choices=DTYPES, default="fp16", help="of the weights (default: fp16)")
    parser.add_argument("--strength", type=float, default=1.0, metavar="X", help="of a merged LoRA (default: 1)")
    parser.add_argument(
        "--prediction", choices=("epsilon", "v_prediction"), help="of the base, where it does not say it itself"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Convert, and print the path of what was written. Raises ValueError for what cannot be done."""
    with redirect_stdout(sys.stderr):
        from ..trainer.export.conversion import Conversion
        from ..trainer.export.convert import convert
        from .base_model import named_source

        layout: Any = arguments.layout.replace("-", " ")
        wanted = Conversion(
            source=arguments.source,
            layout=layout,
            target=_with_suffix(arguments.target, layout),
            base=named_source(arguments) if _names_a_base(arguments) else None,
            rank=arguments.rank,
            dtype=arguments.dtype,
            strength=arguments.strength,
            prediction=arguments.prediction,
        )
        done = convert(wanted)
    say_warnings(done.warnings)
    error = None if done.error is None else asdict(done.error)
    text = f"{done.path}" if done.error is None else "\n".join((str(done.path), str(done.error), *done.error.details))
    answer(arguments, {"path": str(done.path), "error": error, "same_base": done.same_base}, text)
    return 0


def _names_a_base(arguments: argparse.Namespace) -> bool:
    return bool(arguments.base or arguments.text_encoders or arguments.vae)


def _with_suffix(target: Path, layout: str) -> Path:
    return target if layout == "diffusers folder" else with_ending(target)

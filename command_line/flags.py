"""Flags that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..trainer.presets import PRIOR_GUIDANCE
from ..trainer.runs.personalized import DIFFUSERS_WORD

if TYPE_CHECKING:
    from ..trainer.runs.store import Store

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
ROOT = Path(__file__).resolve().parent.parent

COUNT = 16
"""Rare tokens that the lookup draws where no number is asked for."""
REQUIRED, IF_BEGUN = "required", "if-begun"
"""What `train --resume` says: there has to be a state to go on with, or the run begins where there is none."""


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json: the result as one JSON object on stdout."""
    parser.add_argument("--json", action="store_true", help="the result as one JSON object on stdout")


def add_events(parser: argparse.ArgumentParser) -> None:
    """Add --events: what happens as JSON lines on stdout, for a program."""
    text = "for a program: JSON lines on stdout say what happens; a line on stdin, or its end, stops"
    parser.add_argument("--events", action="store_true", help=text)


def add_base(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add --base, what belongs to it, and --device."""
    a_base = "a checkpoint (.safetensors), a diffusers folder, or a denoiser with --text-encoders and --vae"
    parser.add_argument("--base", type=Path, required=required, metavar="PATH", help=a_base)
    add_separate_files(parser)
    answers = "what the base's denoiser answers (default: as its file shows)"
    parser.add_argument("--prediction", choices=("epsilon", "v_prediction"), help=answers)
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument("--device", default="", help="such as cuda:0 or cpu (default: a GPU where there is one)")


def add_separate_files(parser: argparse.ArgumentParser) -> None:
    """Add --text-encoders and --vae."""
    parser.add_argument("--text-encoders", type=Path, nargs="+", default=(), metavar="FILE", help="of a lone denoiser")
    parser.add_argument("--vae", type=Path, metavar="FILE", help="of a lone denoiser")


def add_size(parser: argparse.ArgumentParser) -> None:
    """Add --width and --height."""
    width = "pixels, a multiple of 8 (default: what the base was trained at)"
    parser.add_argument("--width", type=int, default=0, help=width)
    parser.add_argument("--height", type=int, default=0, help="pixels, a multiple of 8 (default: as --width)")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add --output."""
    inside = "with loras/, checkpoints/, embeddings/ and dreambooth/ inside, such as ComfyUI's (default: output)"
    parser.add_argument("--output", type=Path, default=Path("output"), metavar="FOLDER", help=inside)


def add_model_folders(parser: argparse.ArgumentParser) -> None:
    """Add --loras, --checkpoints, --embeddings and --word."""
    for name in ("loras", "checkpoints", "embeddings"):
        text = f"where results go that a host lists (default: {name}/ inside --output)"
        parser.add_argument(f"--{name}", type=Path, metavar="FOLDER", help=text)
    said = "how prompts say a learned word, such as embedding:{name} of its file (default: %(default)s)"
    parser.add_argument("--word", default=DIFFUSERS_WORD, metavar="PATTERN", help=said)


def add_priors(parser: argparse.ArgumentParser, default: str, own_images: bool = False) -> None:
    """Add --priors and how they are drawn. default: for the help text, how many are drawn without the flag. own_images:
    add --class-images too.
    """
    group = parser.add_argument_group("class images", "Drawn by the base as it is, kept in the output folder, reused.")
    if own_images:
        own = "your own pictures of the class beside those that are drawn; without --priors instead of them"
        group.add_argument("--class-images", type=Path, metavar="FOLDER", help=own)
    group.add_argument(
        "--priors", type=int, default=None, metavar="N", help=f"how many of each class (default: {default})"
    )
    group.add_argument("--prior-steps", type=int, default=25, metavar="N", help="sampling steps (default: 25)")
    guidance = f"more narrows the class (default: {PRIOR_GUIDANCE:g}, none)"
    group.add_argument("--prior-guidance", type=float, default=PRIOR_GUIDANCE, metavar="SCALE", help=guidance)
    group.add_argument("--prior-seed", type=int, default=0, metavar="SEED", help="0 or more (default: 0)")
    group.add_argument("--prior-batch-size", type=int, default=4, metavar="N", help="drawn at once (default: 4)")


def store(arguments: argparse.Namespace) -> Store:
    """Where results go: a host's own model folders, else those that the nodes use inside an output folder."""
    from ..trainer.runs.store import Store

    output, said = arguments.output, vars(arguments)
    loras, checkpoints, embeddings = (
        said.get(name) or output / name for name in ("loras", "checkpoints", "embeddings")
    )
    return Store(loras, checkpoints, output / "dreambooth", embeddings, said.get("word", DIFFUSERS_WORD))

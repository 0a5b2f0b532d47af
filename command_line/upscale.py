"""`upscale`: pictures enlarged by an upscaler, with what it was taught of the subject."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path

from .answer import answer, say
from .flags import Commands, add_base, add_json


def add_parser(commands: Commands) -> None:
    """The upscaler, a LoRA of it, the pictures, and how they are drawn."""
    said = "Enlarges pictures four times. `train --base UPSCALER --prior off` teaches it your subject's details first."
    parser = commands.add_parser("upscale", help="enlarge pictures with a personalized upscaler", description=said)
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE", help="to enlarge")
    add_base(parser)
    parser.add_argument("--lora", type=Path, metavar="FILE", help="what train wrote for this upscaler")
    parser.add_argument("--strength", type=float, default=1.0, metavar="S", help="of the LoRA (default: 1)")
    prompt = "what is shown, with the trigger, such as 'a olt dog' (default: the LoRA's trigger)"
    parser.add_argument("--prompt", default="", help=prompt)
    level = "noise on the picture, 0 to 350: as in the training; more lets the model change more (default: 0)"
    parser.add_argument("--noise-level", type=int, default=0, metavar="N", help=level)
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="sampling steps (default: 20)")
    guidance = "more follows the prompt more (default: 1, none)"
    parser.add_argument("--guidance", type=float, default=1.0, metavar="SCALE", help=guidance)
    parser.add_argument("--seed", type=int, default=0, metavar="SEED", help="0 or more (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("output"), metavar="FOLDER", help="(default: output)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Enlarge the pictures one by one; 0."""
    with redirect_stdout(sys.stderr):
        files = _enlarged(arguments)
    answer(arguments, {"files": [str(file) for file in files]}, "\n".join(map(str, files)))
    return 0


def _enlarged(arguments: argparse.Namespace) -> list[Path]:
    """The files of the enlarged pictures: <name>_x4.png in the output folder. Raises ValueError, OSError."""
    from ..trainer.export.upscaler import personalized_upscaler, prompt_of
    from ..trainer.files.pictures import read_picture, write_picture
    from ..trainer.model.precision import autocast
    from ..trainer.sampling.upscaling import UpscaleSettings, require_upscaler, upscale
    from .base_model import BaseModel

    model = BaseModel(arguments)
    base = personalized_upscaler(model.live, arguments.lora, arguments.strength)
    factor, prompt = require_upscaler(base).factor, arguments.prompt or prompt_of(arguments.lora)
    settings = UpscaleSettings(noise_level=arguments.noise_level, steps=arguments.steps, guidance=arguments.guidance)
    files = []
    for number, picture in enumerate(arguments.pictures):
        say(f"{picture.name}: '{prompt}'")
        with autocast(None if base.dtype.itemsize == 4 else base.dtype, base.device):
            drawn = upscale(base, read_picture(picture)[None], [prompt], [arguments.seed + number], settings)
        files.append(write_picture(drawn[0], arguments.output / f"{picture.stem}_x{factor}.png"))
    return files

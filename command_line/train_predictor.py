"""`train-predictor`: InstantBooth's encoder and adapters for a base, from photos of many subjects."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from .answer import answer, say
from .flags import Commands, add_base, add_json, add_size
from .stopping import StopSignals

if TYPE_CHECKING:
    from ..trainer.instantbooth.photo_pairs import SubjectPhotos
    from ..trainer.options import TrainOptions


def add_parser(commands: Commands) -> None:
    """Base, subjects, and how long."""
    said = (
        "Trains what predict uses: an encoder from photos to a word, and adapters that show its features to the base. "
        "The base itself stays as it is. It takes photos of many subjects, thousands rather than hundreds."
    )
    parser = commands.add_parser("train-predictor", help="train what predict uses, for a base", description=said)
    add_base(parser)
    subjects = "folders of subjects, such as '1_a dog': two photos of each, or more; captions as train reads them"
    parser.add_argument("--subjects", type=Path, required=True, metavar="FOLDER", help=subjects)
    parser.add_argument("--noun", default="", help="what the subjects are, where their folders do not say it")
    parser.add_argument("--to", type=Path, required=True, dest="target", metavar="FILE", help="the predictor's file")
    parser.add_argument("--steps", type=int, default=100_000, metavar="N", help="optimizer steps (default: 100000)")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="pairs of photos in a step (default: 8)")
    parser.add_argument("--learning-rate", type=float, default=1e-4, metavar="X", help="default: 1e-4")
    parser.add_argument("--vectors", type=int, default=4, metavar="N", help="of the word, 1 or more (default: 4)")
    side = "side of the photos that the encoder sees, a multiple of 16 pixels (default: 128)"
    parser.add_argument("--photo-size", type=int, default=128, metavar="N", help=side)
    parser.add_argument("--state-minutes", type=float, default=10, metavar="X", help="between saves (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="0 or more (default: 0)")
    add_size(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, going on from a state beside the file; 0, or 128 + the signal that stopped it."""
    with redirect_stdout(sys.stderr), StopSignals() as stop:
        from ..trainer.instantbooth.prediction import BASE
        from ..trainer.model.fingerprint import FIELD, weight_sample
        from ..trainer.session.predictor_training import PredictorRun
        from .base_model import BaseModel
        from .progress import Progress

        options = _options(arguments)
        base = BaseModel(arguments)
        size = base.size(arguments)
        subjects = subjects_in(arguments.subjects, arguments.noun, size)
        say(f"{len(subjects)} subjects, {sum(len(one.photos) for one in subjects)} photos")
        run = PredictorRun(base.live, subjects, options, arguments.target, arguments.vectors, arguments.photo_size)
        done = run.train(Progress(stop), stop, 60 * arguments.state_minutes)
        metadata = {FIELD: json.dumps(weight_sample(base.source)), BASE: base.fingerprint}
        run.predictor.write(arguments.target, metadata)
    whole = f"{arguments.target}" if done else f"{arguments.target} (stopped; the same command goes on)"
    answer(arguments, {"file": str(arguments.target.resolve()), "finished": done}, whole)
    return stop.status


def _options(arguments: argparse.Namespace) -> TrainOptions:
    """The training's options. Raises OptionError."""
    from ..trainer.options import TrainOptions

    return TrainOptions(
        steps=arguments.steps,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        schedule="constant_with_warmup",
        warmup_steps=min(500, arguments.steps // 10),
        ema_decay=0.999,
    )


def subjects_in(folder: Path, noun: str, size: tuple[int, int]) -> list[SubjectPhotos]:
    """The subjects of a folder of folders, their photos at one size. Raises PhotoError; ValueError for one subject."""
    from ..trainer.instantbooth.photo_pairs import SubjectPhotos
    from ..trainer.prompts import checked_class_noun
    from ..trainer.subject.buckets import TrainingSize
    from ..trainer.subject.subject_folders import subject_folders
    from .usable_photos import usable_photos

    found = subject_folders(folder, noun)
    if len(found) < 2:
        raise ValueError(
            f"--subjects {folder} holds one subject: name a folder of folders, such as '1_a dog', the more the better."
        )
    read = [usable_photos(one.files, TrainingSize(*size)) for one in found]
    return [SubjectPhotos(own, checked_class_noun(one.class_noun)) for one, own in zip(found, read, strict=True)]

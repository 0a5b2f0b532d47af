"""`predict`: a subject's word and features from its photos, in seconds, and pictures with them."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answer import answer
from .flags import Commands, add_base, add_json, add_model_folders, add_output, add_size, store

if TYPE_CHECKING:
    from ..trainer.instantbooth.prediction import KnownPredictor
    from ..trainer.model.base import Base
    from .base_model import BaseModel

TRIGGER = "[trigger]"
"""What --draw says where the word is put."""


def add_parser(commands: Commands) -> None:
    """Base, photos, predictor, and what is drawn."""
    said = (
        "Predicts the subject of some photos as a new word and features of them, without training (InstantBooth). The "
        "word is an embedding for every host; ComfyUI's nodes and --draw show the features as well."
    )
    parser = commands.add_parser("predict", help="a subject from photos in seconds, without training", description=said)
    add_base(parser)
    photos = "1 photo of the subject or more; masks as train reads them"
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER", help=photos)
    parser.add_argument("--noun", required=True, help="what the subject is, such as dog")
    predictor = "of train-predictor, for this base (default: the one stored for the toy base, where there is one)"
    parser.add_argument("--predictor", type=Path, metavar="FILE", help=predictor)
    parser.add_argument("--name", default="", help="of the word; a number is put after it (default: the folder's)")
    draw = f"pictures to draw, such as 'a {TRIGGER} on the beach'"
    parser.add_argument("--draw", default="", metavar="PROMPT", help=draw)
    parser.add_argument("--count", type=int, default=4, metavar="N", help="pictures of --draw (default: 4)")
    parser.add_argument("--seed", type=int, default=0, help="of --draw, 0 or more (default: 0)")
    strength = "of the features in --draw, 0: the word alone, 1: as trained (default: 1)"
    parser.add_argument("--strength", type=float, default=1.0, metavar="X", help=strength)
    add_size(parser)
    add_output(parser)
    add_model_folders(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict, and name the files; 0."""
    with redirect_stdout(sys.stderr):
        from ..trainer.instantbooth.prediction import features_file, predict, write_prediction
        from ..trainer.instantbooth.prompts import noun_vectors
        from ..trainer.prompts import checked_class_noun
        from ..trainer.runs.personalized import checked_name, fitted_name
        from ..trainer.subject.buckets import TrainingSize
        from ..trainer.subject.photo_folder import sorted_folder
        from .base_model import BaseModel
        from .usable_photos import usable_photos

        noun, place = checked_class_noun(arguments.noun), store(arguments)
        name = checked_name(arguments.name or fitted_name(arguments.photos.resolve().name, noun))
        base = BaseModel(arguments, place.hashes)
        known = known_predictor(arguments.predictor, base)
        photos = usable_photos(sorted_folder(arguments.photos), TrainingSize(*base.size(arguments)))
        concept = predict(known.predictor, photos, noun_vectors(base.live, noun))
        result = write_prediction(place, known, concept, name, noun)
        words = {encoder: rows[0] for encoder, rows in concept.words.items()}
        pictures = _drawn(arguments, base, known, words, concept.patches[0]) if arguments.draw else []
    features = features_file(place, result.file)
    said: dict[str, Any] = {
        "file": str(result.file.resolve()),
        "features": str(features.resolve()),
        "trigger": result.trigger,
        "class_noun": noun,
        "pictures": [str(picture.resolve()) for picture in pictures],
    }
    lines = (f"word: {result.file}", f"features: {features}", f"trigger: {result.trigger}", *map(str, pictures))
    answer(arguments, said, "\n".join(lines))
    return 0


def known_predictor(file: Path | None, base: BaseModel) -> KnownPredictor:
    """The predictor in a file, or the embedded base's. Raises ValueError where neither is for this base."""
    from ..toybase.judge_scorer import is_embedded_base
    from ..toybase.stored_predictor import is_stored, stored_predictor
    from ..trainer.instantbooth.prediction import KnownPredictor
    from ..trainer.model.fingerprint import weight_sample

    if file is not None:
        return KnownPredictor.of_file(file)
    if not (is_stored() and is_embedded_base(weight_sample(base.source))):
        raise ValueError(
            "No predictor is stored for this --base: name its own with --predictor, which the command train-predictor "
            "makes."
        )
    return stored_predictor()


def _drawn(
    arguments: argparse.Namespace, base: BaseModel, known: KnownPredictor, words: Any, patches: Any
) -> list[Path]:
    """The pictures of --draw beside the features. Raises ValueError for a prompt without TRIGGER, or a number below
    its least.
    """
    from ..trainer.files.atomic import next_numbered_path
    from ..trainer.files.pictures import write_picture
    from ..trainer.instantbooth.prediction import FOLDER, shown
    from ..trainer.model.precision import autocast, fastest_dtype
    from ..trainer.model.word_embedding import add_word
    from ..trainer.prompts import IDENTIFIER_MARK
    from ..trainer.sampling.sampler import SamplerSettings, draw

    if TRIGGER not in arguments.draw or arguments.count < 1:
        raise ValueError(f"--draw {arguments.draw!r} of {arguments.count}: say {TRIGGER} in it, and 1 picture or more.")
    live: Base = base.live
    add_word(live, IDENTIFIER_MARK, words)
    width, height = base.size(arguments)
    settings = SamplerSettings(width=width, height=height)
    prompts = [arguments.draw.replace(TRIGGER, IDENTIFIER_MARK)] * arguments.count
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    with (
        shown(live.denoiser, known.predictor.to(live.device), patches, arguments.strength, len(prompts)),
        autocast(fastest_dtype(live.device), live.device),
    ):
        pictures = draw(live, prompts, [*seeds], settings)
    folder, paths = store(arguments).work / FOLDER, list[Path]()
    for picture in pictures:
        paths.append(next_numbered_path(folder, "picture", ".png"))
        write_picture(picture, paths[-1])
    return paths

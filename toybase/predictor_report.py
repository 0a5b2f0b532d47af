"""How like held-out subjects predicted ones are: `python -m toybase predictor_report`.

Twelve subjects at six places that none of their photos shows. Likeness by both judges, and how far it is of the way
from the base to the photos' own; how far pictures show the place; and the same with another subject's photo.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from ..trainer.instantbooth.prediction import predict, shown
from ..trainer.instantbooth.predictor import Predictor, read_predictor
from ..trainer.instantbooth.prompts import noun_vectors
from ..trainer.model.base import Base
from ..trainer.model.families import load_base
from ..trainer.model.precision import fastest_autocast, fastest_dtype
from ..trainer.model.word_embedding import add_word
from ..trainer.sampling.sampler import SamplerSettings, draw
from ..trainer.subject.photo_folder import sorted_folder
from ..trainer.subject.photos import Photo, read_photo
from .captions import write_caption
from .judge_scorer import JudgeScorer
from .palette import PLACES
from .predictor_gain import wrong_photos
from .sheet import contact_sheet
from .stored_predictor import stored_predictor
from .subjects import FOLDER, SIZE
from .writer import write_checkpoint

SEEN = 6
"""Places of a subject's pictures, where no other number is asked for."""
FIRST_SEED = 900
SETTINGS = SamplerSettings(width=SIZE, height=SIZE, steps=20, guidance=4.5)
ROWS = ("base", "one photo", "five photos", "one photo, the word alone", "one photo of another subject")


class Report:
    """The pictures of every row and subject, and what the judges say of them."""

    def __init__(self, base: Base, predictor: Predictor, count: int, places: int, rows: Sequence[str] = ROWS) -> None:
        self.base, self.predictor = base, predictor
        listing = json.loads((FOLDER / "subjects.json").read_text(encoding="utf-8"))
        self.names = list(listing)[:count]
        self.nouns = [listing[name]["class_noun"] for name in self.names]
        self.places = [
            [place for place in PLACES if place not in listing[name]["places"]][:places] for name in self.names
        ]
        self.photos = [_photos(name) for name in self.names]
        self.others = [_photos(list(listing)[other])[:1] for other in wrong_photos()][:count]
        self.pictures = {row: [self._drawn(row, number) for number in range(len(self.names))] for row in rows}

    def _drawn(self, row: str, number: int) -> Tensor:
        """A subject's pictures [places, 3, H, W] in 0..1, of the same noises in all rows."""
        noun, photos = self.nouns[number], self.photos[number]
        given = {"base": [], "five photos": photos, "one photo of another subject": self.others[number]}
        taken = given.get(row, photos[:1])
        if not taken:
            return self._draw(noun, number, None, 0.0)
        concept = predict(self.predictor, taken, noun_vectors(self.base, noun))
        word = f"w{number}r{ROWS.index(row)}"
        add_word(self.base, word, {name: rows[0] for name, rows in concept.words.items()})
        return self._draw(word, number, concept.patches[0], 0.0 if row.endswith("word alone") else 1.0)

    def _draw(self, word: str, number: int, patches: Tensor | None, strength: float) -> Tensor:
        prompts = [write_caption(word, place, None, None) for place in self.places[number]]
        seeds = [FIRST_SEED + number * SEEN + one for one in range(len(prompts))]
        adapters = (
            nullcontext()
            if patches is None
            else shown(self.base.denoiser, self.predictor, patches, strength, len(prompts))
        )
        with adapters, fastest_autocast(self.base.device):
            return draw(self.base, prompts, seeds, SETTINGS)

    def table(self, judge: JudgeScorer) -> list[list[float]]:
        """By row: likeness, how far of the way, place shown, noun shown, variety; means over the subjects."""
        photos = [torch.stack([photo.pixels for photo in own]) for own in self.photos]
        own = torch.stack([_own_likeness(judge, pixels) for pixels in photos])
        found: dict[str, list[Tensor]] = {}
        for row, drawn in self.pictures.items():
            like = [judge.likeness(x, pixels).mean() for x, pixels in zip(drawn, photos, strict=True)]
            texts = [[write_caption("thing", place, None, None) for place in some] for some in self.places]
            follows = [judge.prompt_following(x, text).mean() for x, text in zip(drawn, texts, strict=True)]
            nouns = [judge.shows(x, noun).mean() for x, noun in zip(drawn, self.nouns, strict=True)]
            variety = [judge.variety(x).mean() for x in drawn]
            found[row] = [torch.stack(values) for values in (like, follows, nouns, variety)]
        base, rows = found["base"][0], []
        for likeness, *rest in found.values():
            way = (likeness.mean() - base.mean()) / (own.mean() - base.mean())
            rows.append([float(x) for x in (likeness.mean(), way, *(value.mean() for value in rest))])
        print(f"{judge.name}: photos' own likeness {float(own.mean()):.3f}; by subject, one photo: " + ", ".join(
            f"{name} {float(x):.2f} (base {float(b):.2f})"
            for name, x, b in zip(self.names, found["one photo"][0], base, strict=True)))  # fmt: skip
        return rows


def _own_likeness(judge: JudgeScorer, photos: Tensor) -> Tensor:
    """The mean likeness of a subject's photos to each other, without each to itself."""
    count = len(photos)
    return (judge.likeness(photos, photos) * count - 1).mean() / (count - 1)


def _photos(name: str) -> list[Photo]:
    files = sorted_folder(FOLDER / name)
    return [read_photo(path, SIZE, SIZE) for path in files.photos]


def _print(judge: JudgeScorer, names: Sequence[str], rows: Sequence[Sequence[float]]) -> None:
    print(f"| {judge.name} | likeness | of the way | place | noun | variety |\n|---|---|---|---|---|---|")
    for name, (likeness, way, *rest) in zip(names, rows, strict=True):
        print(f"| {name} | {likeness:.3f} | {way:.0%} | " + " | ".join(f"{value:.3f}" for value in rest) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictor", type=Path, help="of train_predictor (default: the stored one)")
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--places", type=int, default=SEEN)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="the first and the second at least")
    parser.add_argument("--sheet", type=Path, help="a picture of the first row of each subject")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    trained = stored_predictor().predictor if arguments.predictor is None else read_predictor(arguments.predictor)
    with TemporaryDirectory() as folder:
        file = write_checkpoint(Path(folder) / "base.safetensors")
        model = load_base(file, dtype=fastest_dtype(torch.device("cpu")) or torch.float32)
    report = Report(model, trained, arguments.subjects, arguments.places, arguments.rows)
    for second in (False, True):
        scorer = JudgeScorer(second)
        _print(scorer, arguments.rows, report.table(scorer))
    if arguments.sheet:
        sheet = [(f"{row}: {name}", 2 * x - 1) for number, name in enumerate(report.names)
                 for row in arguments.rows for x in (report.pictures[row][number],)]  # fmt: skip
        contact_sheet(sheet).save(arguments.sheet, quality=88)

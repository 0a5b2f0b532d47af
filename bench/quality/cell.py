"""One cell: a row's training on one subject, looked at and scored, kept on disk by its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...trainer.files.atomic import write_json
from ...trainer.files.pictures import write_picture
from ...trainer.model.base import Base
from ...trainer.model.precision import autocast, forward_dtype
from ...trainer.sampling.sampler import draw
from ...trainer.scores.scorer import ClassScorer
from .contender import Contender, Trained, Work
from .estimate import pair_pseudo_values
from .materials import AT_ONCE, BenchSubject, Materials, pixels
from .prompts import SEEDS, Prompt
from .rows import Row

CLASS_PICTURES = 32


@dataclass(frozen=True)
class Scores:
    """What one scorer saw. likeness, prompt_following: per prompt and seed; the others: per picture of `a [noun]`.

    The class is looked at once, when the training is over; before that its lists are empty. div: pseudo-values.
    """

    likeness: list[float]
    prompt_following: list[float]
    pres: list[float]
    div: list[float]
    class_accuracy: list[float]


@dataclass
class Cell:
    """row, subject: names. looks: {steps: {scorer's name: Scores}}. pictures: of the last look, prompt by prompt."""

    row: str
    subject: str
    fingerprint: str
    folder: Path
    cost: Trained | None = None
    looks: dict[int, dict[str, Scores]] = field(default_factory=dict)

    @property
    def last(self) -> dict[str, Scores]:
        """Of the finished model."""
        return self.looks[max(self.looks)]

    @property
    def pictures(self) -> Path:
        """[prompts x seeds] pictures of the last look in one PNG, a line a prompt."""
        return self.folder / f"{self.fingerprint[:24]}.png"

    def write(self) -> None:
        """Keep it. The pictures are there before: a cell with a record is whole."""
        write_json(asdict(self) | {"folder": None}, _record(self.folder, self.fingerprint))


def find_cell(folder: Path, fingerprint: str) -> Cell | None:
    """The kept cell, if there is one."""
    record = _record(folder, fingerprint)
    if not record.is_file():
        return None
    known = json.loads(record.read_text(encoding="utf-8"))
    looks = {int(k): {scorer: Scores(**s) for scorer, s in look.items()} for k, look in known["looks"].items()}
    cost = None if known["cost"] is None else Trained(**known["cost"])
    return Cell(known["row"], known["subject"], fingerprint, folder, cost, looks)


def cell_fingerprint(parts: dict[str, Any]) -> str:
    """SHA-256 (hex) of everything that a cell's figures depend on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass
class Scoring:
    """How models are looked at: by whom, asked what."""

    materials: Materials
    scorers: Sequence[ClassScorer]
    prompts: Sequence[Prompt]

    def fill(self, cell: Cell, row: Row, subject: BenchSubject, work: Work, contender: Contender | None) -> Cell:
        """Train (not for the base itself), look, and keep."""

        def look(steps: int, base: Base) -> None:
            base.to(self.materials.device)
            asked = self._asked(row, subject)
            drawn = self._draw(base, work, asked, [seed for _ in self.prompts for seed in range(SEEDS)])
            of_class = None
            if steps == work.steps:
                of_class = self._of_class(base, work, subject)
                write_picture(_grid(drawn, SEEDS), cell.pictures)
            cell.looks[steps] = self.scores(subject, drawn, of_class)

        if contender is None:
            look(0, self.materials.load())
        else:
            if row.priors:
                self.materials.class_images(work.class_noun, row.priors, row.prior_guidance)
            cell.cost = contender(work, self.materials.folder / "trained" / cell.fingerprint[:24], look)
        cell.write()
        return cell

    def scores(self, subject: BenchSubject, drawn: Tensor, of_class: Tensor | None) -> dict[str, Scores]:
        """By every scorer: pictures of all prompts [prompts x SEEDS, 3, H, W], and of the class."""
        texts = [prompt.text(subject.class_noun, subject.places) for prompt in self.prompts for _ in range(SEEDS)]
        photos = pixels(self.materials.photos(subject))
        found = {}
        for scorer in self.scorers:
            seen: dict[str, list[float]] = {"pres": [], "div": [], "class_accuracy": []}
            if of_class is not None:
                seen = {
                    "pres": scorer.likeness(of_class, photos).tolist(),
                    "div": pair_pseudo_values(scorer.variety(of_class).tolist()),
                    "class_accuracy": scorer.shows(of_class, subject.class_noun).tolist(),
                }
            likeness, following = scorer.likeness(drawn, photos), scorer.prompt_following(drawn, texts)
            found[scorer.name] = Scores(likeness=likeness.tolist(), prompt_following=following.tolist(), **seen)
        return found

    def _asked(self, row: Row, subject: BenchSubject) -> list[str]:
        noun = row.said_noun(subject.class_noun)
        return [prompt.asked(row.identifier, noun) for prompt in self.prompts for _ in range(SEEDS)]

    def _of_class(self, base: Base, work: Work, subject: BenchSubject) -> Tensor:
        return self._draw(base, work, [f"a {subject.class_noun}"] * CLASS_PICTURES, range(CLASS_PICTURES))

    def _draw(self, base: Base, work: Work, prompts: Sequence[str], seeds: Sequence[int]) -> Tensor:
        dtype = forward_dtype(work.precision, base.device)
        training = base.denoiser.training
        base.denoiser.eval()
        with autocast(dtype, base.device):
            parts = [
                draw(base, prompts[i : i + AT_ONCE], seeds[i : i + AT_ONCE], self.materials.sampler)
                for i in range(0, len(prompts), AT_ONCE)
            ]
        base.denoiser.train(training)
        return torch.cat(parts)


def _grid(pictures: Tensor, columns: int) -> Tensor:
    lines = [torch.cat(list(line), dim=2) for line in pictures.split(columns)]
    return torch.cat(lines, dim=1)


def _record(folder: Path, fingerprint: str) -> Path:
    return folder / f"{fingerprint[:24]}.json"

"""The bench: every row on every subject, each cell measured once and kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .cell import Cell, Scoring, cell_fingerprint, find_cell
from .contender import Contender, Work
from .materials import BenchSubject, Materials
from .ours import request
from .prompts import SEEDS
from .rows import Row, TrainerName
from .sources import base_digest, looking_digest, photo_digest
from .trainings import append, is_known, read_trainings, training_of


@dataclass
class Bench:
    """All cells of a run. subjects, rows: what is crossed.

    contenders: {trainer: (who trains, a fingerprint of its code)}.
    """

    materials: Materials
    scoring: Scoring
    subjects: Sequence[BenchSubject]
    rows: Sequence[Row]
    contenders: dict[TrainerName, tuple[Contender, str]]
    folder: Path
    failures: list[str] = field(default_factory=list)

    def run(self) -> list[Cell]:
        """Every cell, measured or found, subject by subject; what fails is told, kept in `failures` and left out."""
        cells = []
        pairs = [(row, subject) for subject in self.subjects for row in self.rows]
        for index, (row, subject) in enumerate(pairs, 1):
            try:
                cells.append(self._cell(row, subject, f"[{index}/{len(pairs)}]"))
            except (ValueError, RuntimeError, OSError) as error:
                self.failures.append(f"{row.name}, {subject.name}: {error}")
                print(f"failed: {error}", flush=True)
        return cells

    def _cell(self, row: Row, subject: BenchSubject, place: str) -> Cell:
        fingerprint = self.fingerprint(row, subject)
        if kept := find_cell(self.folder, fingerprint):
            print(f"{place} {row.name}, {subject.name}: kept", flush=True)
            return kept
        print(f"{place} {row.name}, {subject.name} ...", end=" ", flush=True)
        began = time.perf_counter()
        work = self.work(row, subject)
        empty = Cell(row.name, subject.name, fingerprint, self.folder)
        cell = self.scoring.fill(empty, row, subject, work, self.contenders[row.trainer][0] if row.steps else None)
        first = next(iter(cell.last.values()))
        likeness, following = (sum(v) / len(v) for v in (first.likeness, first.prompt_following))
        seconds = time.perf_counter() - began
        print(f"likeness {likeness:.3f}, prompt following {following:.3f}, {seconds:.0f} s", flush=True)
        return cell

    def fill(self, seeds: int, file: Path) -> None:
        """Measure the trainings that the table in `file` lacks, subjects before seeds, and append each; what fails is
        told and kept in `failures`.
        """
        for seed in range(seeds):
            for row, subject in ((row, subject) for subject in self.subjects for row in self.rows):
                if seed and not row.steps:
                    continue
                try:
                    self._fill(row, subject, seed, file)
                except (ValueError, RuntimeError, OSError) as error:
                    self.failures.append(f"{row.name}, {subject.name}, seed {seed}: {error}")
                    print(f"failed: {error}", flush=True)

    def _fill(self, row: Row, subject: BenchSubject, seed: int, file: Path) -> None:
        """Measure one training, unless the table has it."""
        base, work = base_digest(self.materials.own_base), self.work(row, subject, seed)
        ours = row.trainer == "ours" and row.steps
        fingerprint = self.fingerprint(row, subject, seed)
        run = request(self.materials, work).key(self.materials.fingerprint) if ours else self._looked_at(row, subject)
        if is_known(read_trainings(file), base, run):
            print(f"{row.name}, {subject.name}, seed {seed}: known", flush=True)
            return
        print(f"{row.name}, {subject.name}, seed {seed} ...", flush=True)
        contender = self.contenders[row.trainer][0] if row.steps else None
        empty = Cell(row.name, subject.name, fingerprint, self.folder)
        cell = find_cell(self.folder, fingerprint) or self.scoring.fill(empty, row, subject, work, contender)
        append(training_of(cell, base, run, seed), file)

    def _looked_at(self, row: Row, subject: BenchSubject) -> str:
        """The key of what has no run of ours: the base itself, or a rival's training."""
        parts = {"row": row, "photos": photo_digest(subject.folder), "trainer": self.contenders[row.trainer][1]}
        return cell_fingerprint(parts if row.steps else {"row": row, "photos": parts["photos"]})

    def fingerprint(self, row: Row, subject: BenchSubject, seed: int = 0) -> str:
        """Of all that the cell's figures depend on."""
        return cell_fingerprint(
            {
                "row": row,
                "seed": seed,
                "base": base_digest(self.materials.own_base),
                "photos": photo_digest(subject.folder),
                "subject": (subject.name, subject.class_noun),
                "sampler": self.materials.sampler,
                "size": self.materials.size,
                "device": self.materials.device,
                "prompts": list(self.scoring.prompts),
                "seeds": SEEDS,
                "scorer": [scorer.fingerprint for scorer in self.scoring.scorers],
                "trainer": self.contenders[row.trainer][1],
                "looking": looking_digest(),
            }
        )

    def work(self, row: Row, subject: BenchSubject, seed: int = 0) -> Work:
        """What a contender is given; the class images are made where it is measured."""
        noun = row.said_noun(subject.class_noun)
        named = " ".join(word for word in ("a", row.identifier, noun) if word)
        return Work(
            base=self.materials.checkpoint,
            # 600 MB that only one contender reads
            diffusers_base=self.materials.diffusers_base if row.trainer == "diffusers" else self.materials.folder,
            photos=self.materials.photo_folder(subject, min(row.photos, len(self.materials.photos(subject)))),
            class_images=self.materials.class_folder(noun, row.priors, row.prior_guidance) if row.priors else None,
            class_count=row.priors,
            identifier=row.identifier,
            class_noun=noun,
            instance_prompt=named,
            class_prompt=f"a {noun or subject.class_noun}",
            method=row.method,
            steps=row.steps,
            looks=row.looks,
            learning_rate=row.learning_rate,
            rank=row.rank,
            prior=row.prior,
            prior_weight=row.prior_weight if row.priors or row.prior != "class images" else 0.0,
            prior_guidance=row.prior_guidance,
            size=self.materials.size,
            seed=seed,
            precision="auto",
        )

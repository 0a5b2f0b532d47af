"""Writes the report of all cells: quality.md, quality.json, a curve by each scorer, sheet.png."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...trainer.files.atomic import write_json
from ...trainer.operating_system import replace_path
from ...trainer.scores.scorer import ClassScorer, likeness_between_photos
from ..machine import machine
from .bench import Bench
from .cell import CLASS_PICTURES, Cell
from .estimate import mean_of
from .findings import findings
from .lines import Line
from .materials import pixels
from .prompts import SEEDS
from .report import NOTE, claims, contact_sheet, plot, record, table, table_by_kind


def publish(cells: Sequence[Cell], bench: Bench, output: Path) -> None:
    """Print the tables; write everything into `output`."""
    parts, records = [], []
    for scorer in bench.scoring.scorers:
        lines = _lines(cells, scorer)
        real = _real(bench, scorer)
        found = findings({line.name: line for line in lines}, real, scorer.margin)
        prompts = bench.scoring.prompts
        by_kind = [table_by_kind(lines, prompts)] if len({prompt.kind for prompt in prompts}) > 1 else []
        parts += [f"## By {scorer.name}", table(lines), *by_kind, claims(found), _note(bench, scorer, real)]
        records.append(record(lines, found, {"real_likeness": real, **machine(bench.materials.device)}))
        plot(lines, real, output / f"curve by {scorer.name}.png")
    text = "\n\n".join(parts)
    (output / "quality.md").write_text(text + "\n", encoding="utf-8")
    write_json({"by": records}, output / "quality.json")
    asked = [prompt.text("…") for prompt in bench.scoring.prompts]
    sheet = contact_sheet(cells, asked, bench.materials.size)
    part = output / "sheet.part.png"
    sheet.save(part)
    replace_path(part, output / "sheet.png")
    print(f"\n{text}\n\n{output / 'quality.md'}")


def _lines(cells: Sequence[Cell], scorer: ClassScorer) -> list[Line]:
    names = list(dict.fromkeys(cell.row for cell in cells))
    return [Line(name, [cell for cell in cells if cell.row == name], scorer.name) for name in names]


def _real(bench: Bench, scorer: ClassScorer) -> float:
    values: list[float] = []
    for subject in bench.subjects:
        values += likeness_between_photos(scorer, pixels(bench.materials.photos(subject))).tolist()
    return mean_of(values).value


def _note(bench: Bench, scorer: ClassScorer, real: float) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in machine(bench.materials.device).items())
    return (
        NOTE.format(
            subjects=", ".join(subject.name for subject in bench.subjects),
            prompts=len(bench.scoring.prompts),
            seeds=SEEDS,
            class_pictures=CLASS_PICTURES,
            prompt_following=scorer.meaning,
            real=real,
            scorer=scorer.name,
        )
        + f"Measured with {facts}."
    )

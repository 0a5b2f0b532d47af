"""The table of all trainings that were measured, `trainings.csv`: a line each, which is appended and never changed.

A training is known by its run's key and the base's hash, so that the bench measures what is missing and goes on another
day, on another machine. Changes of the code that leave a run's key as it is do not ask for it again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .cell import Cell, Scores

FILE = Path(__file__).with_name("trainings.csv")
JUDGES = 2
"""Scorers whose figures a line holds."""
KEY_DIGITS, BASE_DIGITS = 24, 12


@dataclass(frozen=True)
class Training:
    """One line. run: the first digits of its run's key; of a rival's, or of the base alone, its cell's fingerprint.

    base: those of the base's hash. seconds: of its steps; None where nothing was trained. Figures are means over
    pictures after the last step, by the first scorer and by the second.
    """

    base: str
    run: str
    row: str
    subject: str
    seed: int
    seconds: float | None
    likeness: float
    prompt_following: float
    class_leak: float
    variety: float
    likeness_2: float
    prompt_following_2: float
    class_leak_2: float
    variety_2: float

    def figure(self, name: str, judge: int) -> float:
        """A figure by the first (0) or the second (1) scorer."""
        return float(getattr(self, f"{name}_2" if judge else name))


def training_of(cell: Cell, base: str, run: str, seed: int) -> Training:
    """The line of a measured cell, whose scorers are two."""
    first, second = (_means(scores) for scores in cell.last.values())
    return Training(
        base=base[:BASE_DIGITS],
        run=run[:KEY_DIGITS],
        row=cell.row,
        subject=cell.subject,
        seed=seed,
        seconds=None if cell.cost is None else round(cell.cost.seconds, 1),
        **first,
        **{f"{name}_2": value for name, value in second.items()},
    )


def read_trainings(file: Path = FILE) -> list[Training]:
    """All lines; none where there is no file. Raises ValueError for a file of other columns."""
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        lines = csv.DictReader(stream)
        if tuple(lines.fieldnames or ()) != NAMES:
            raise ValueError(f"{file.name} has the columns {lines.fieldnames}; expected {', '.join(NAMES)}")
        return [Training(**{name: _READ[name](value) for name, value in line.items()}) for line in lines]  # type: ignore[arg-type]


def append(training: Training, file: Path = FILE) -> None:
    """Add a line, and before the first one the columns' names."""
    new = not file.is_file()
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, NAMES, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({name: "" if value is None else value for name, value in asdict(training).items()})


def is_known(trainings: Iterable[Training], base: str, run: str) -> bool:
    """Whether a training is among these."""
    return (base[:BASE_DIGITS], run[:KEY_DIGITS]) in {(one.base, one.run) for one in trainings}


def _means(scores: Scores) -> dict[str, float]:
    """The four figures of a scorer, rounded to four digits."""
    columns = {
        "likeness": scores.likeness,
        "prompt_following": scores.prompt_following,
        "class_leak": scores.pres,
        "variety": scores.div,
    }
    return {name: round(_mean(values), 4) for name, values in columns.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _seconds(text: str) -> float | None:
    return float(text) if text else None


NAMES = tuple(field.name for field in fields(Training))
_READ: dict[str, Callable[[str], object]] = {
    name: str if name in ("base", "run", "row", "subject") else int if name == "seed" else float for name in NAMES
}
_READ["seconds"] = _seconds

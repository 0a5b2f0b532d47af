"""The table of trainings keeps what it is given, and rows are told apart over subjects, not over pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dreambooth_nodes.bench.quality.cell import Cell, Scores
from dreambooth_nodes.bench.quality.contender import Trained
from dreambooth_nodes.bench.quality.trainings import FILE, Training, append, is_known, read_trainings, training_of
from dreambooth_nodes.bench.quality.verdicts import MARGINS, compared, halves, mean_over_subjects, table

SUBJECTS = [f"subject {number}" for number in range(12)]


def training(row: str, subject: str, seed: int, likeness: float = 0.5, leak: float = 0.1) -> Training:
    return Training("b" * 12, f"{row}{subject}{seed}", row, subject, seed, 9.5, likeness, 0.9, leak, 0.4, likeness, 0.9,
                    leak, 0.4)  # fmt: skip


def test_lines_come_back_as_they_were_appended_and_are_small(tmp_path: Path) -> None:
    file = tmp_path / "trainings.csv"
    lines = [training("LoRA", "teapot", 0), replace(training("base", "teapot", 0), seconds=None)]
    for line in lines:
        append(line, file)
    assert read_trainings(file) == lines
    assert file.stat().st_size < 300 * (len(lines) + 1)
    assert is_known(lines, "b" * 64, lines[0].run) and not is_known(lines, "c" * 64, lines[0].run)


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "trainings.csv"
    file.write_text("base,run\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="columns"):
        read_trainings(file)


def test_the_committed_table_can_be_read_and_holds_no_training_twice() -> None:
    known = [(one.base, one.run) for one in read_trainings(FILE)]
    assert len(known) == len(set(known))


def test_a_line_holds_the_means_of_its_cell(tmp_path: Path) -> None:
    looks = {
        4: {name: Scores([0.2, value], [1.0, 0.9], [0.1], [0.5], [1.0]) for name, value in (("a", 0.4), ("b", 0.6))}
    }
    cell = Cell("LoRA", "teapot", "f" * 64, tmp_path, Trained(12.34, 0.01, 10), looks)
    line = training_of(cell, "b" * 64, "r" * 64, seed=1)
    assert (line.likeness, line.likeness_2, line.prompt_following, line.variety_2) == (0.3, 0.4, 0.95, 0.5)
    assert (line.seed, line.seconds, len(line.run), len(line.base)) == (1, 12.3, 24, 12)


def two_rows(gains: list[float], leaks: list[float]) -> list[Training]:
    """A row that gains so much likeness and leaks so much more, by subject, with two seeds of opposite noise."""
    lines = []
    for subject, gain, leak in zip(SUBJECTS, gains, leaks, strict=False):
        for seed, noise in ((0, 0.2), (1, -0.2)):
            lines.append(training("old", subject, seed))
            lines.append(training("new", subject, seed, 0.5 + gain + noise, 0.1 + leak))
    return lines


def test_seeds_are_averaged_and_subjects_are_the_sample() -> None:
    gains = list(np.linspace(0.02, 0.08, 12))
    found = {(one.figure, one.judge): one for one in compared(two_rows(gains, [0.0] * 12), "new", "old")}
    likeness = found["likeness", 0]
    low, high = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert (likeness.difference.low, likeness.difference.high) == (pytest.approx(low), pytest.approx(high))
    assert likeness.subjects == 12 and likeness.verdict == "superior" and len(found) == 2 * len(MARGINS)


@pytest.mark.parametrize(
    ("leaks", "verdict"),
    [([-0.1, -0.12] * 6, "superior"), ([0.01, 0.02] * 6, "non-inferior"), ([0.3, -0.2] * 6, "undecided")],
)
def test_a_leak_that_falls_is_better(leaks: list[float], verdict: str) -> None:
    found = compared(two_rows([0.0] * 12, leaks), "new", "old")
    assert next(one for one in found if one.figure == "class_leak").verdict == verdict
    assert verdict in table(found)


def test_one_subject_decides_nothing() -> None:
    assert compared(two_rows([0.1], [0.0]), "new", "old") == []
    with pytest.raises(ValueError, match="two or more"):
        mean_over_subjects([0.1])


def test_variants_are_chosen_on_one_half_and_confirmed_on_the_other() -> None:
    chosen, confirmed = halves(SUBJECTS)
    assert len(chosen) == len(confirmed) == 6 and sorted([*chosen, *confirmed]) == sorted(SUBJECTS)

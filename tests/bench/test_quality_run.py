"""The quality bench itself, with few steps, on the embedded base."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from dreambooth_nodes.bench.quality.bench import Bench
from dreambooth_nodes.bench.quality.cell import Scoring
from dreambooth_nodes.bench.quality.materials import BenchSubject, Materials
from dreambooth_nodes.bench.quality.ours import request, train_ours
from dreambooth_nodes.bench.quality.prompts import SEEDS, toybase_prompts
from dreambooth_nodes.bench.quality.publish import publish
from dreambooth_nodes.bench.quality.rows import BASE, LORA, ablations
from dreambooth_nodes.bench.quality.trainings import read_trainings
from dreambooth_nodes.tests.interruption import main
from dreambooth_nodes.toybase.judge_scorer import JudgeScorer
from dreambooth_nodes.toybase.subjects import FOLDER
from dreambooth_nodes.trainer.sampling.sampler import SamplerSettings

SIDE = 64
SUBJECT = BenchSubject("racing_car", "car", FOLDER / "racing_car")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("quality")
    settings = SamplerSettings(width=SIDE, height=SIDE, sampler="euler", steps=2, guidance=4.5)
    materials = Materials(folder, SIDE, settings, torch.device("cpu"))
    rows = [BASE, replace(LORA, steps=4, priors=2)]
    scoring = Scoring(materials, [JudgeScorer()], toybase_prompts()[:2])
    return Bench(
        materials,
        scoring,
        [SUBJECT],
        rows,
        {"ours": (partial(train_ours, materials), "this version")},
        folder / "cells",
    )


@pytest.mark.slow
def test_cells_are_measured_once_and_then_kept(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = bench.run()
    assert "kept" not in capsys.readouterr().out
    assert [sorted(cell.looks) for cell in first] == [[0], [1, 2, 4]]
    assert len(first[1].last["judge"].likeness) == 2 * SEEDS
    assert first[1].cost is not None
    assert first[1].cost.seconds > 0
    assert bench.run() == first
    assert capsys.readouterr().out.count("kept") == 2
    publish(first, bench, tmp_path)
    text = (tmp_path / "quality.md").read_text(encoding="utf-8")
    assert "| base | " in text
    assert "| LoRA | " in text
    assert Image.open(tmp_path / "sheet.png").width > 500


@pytest.mark.slow
def test_the_table_of_trainings_is_filled_once(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "trainings.csv"
    judged = replace(bench, scoring=replace(bench.scoring, scorers=[JudgeScorer(), JudgeScorer(second=True)]))
    judged.fill(2, file)
    lines = read_trainings(file)
    assert [(line.row, line.seed) for line in lines] == [("base", 0), ("LoRA", 0), ("LoRA", 1)]
    assert not judged.failures and lines[0].seconds is None and lines[1].likeness != lines[2].likeness
    judged.fill(2, file)
    assert read_trainings(file) == lines


def test_another_row_subject_prompt_or_sampler_is_another_cell(bench: Bench) -> None:
    prints = {bench.fingerprint(row, SUBJECT) for row in (LORA, replace(LORA, rank=4), replace(LORA, photos=3))}
    prints.add(bench.fingerprint(LORA, BenchSubject("robot", "robot", FOLDER / "robot")))
    fewer = replace(bench.scoring, prompts=bench.scoring.prompts[:1])
    prints.add(replace(bench, scoring=fewer).fingerprint(LORA, SUBJECT))
    slower = replace(bench.materials, sampler=replace(bench.materials.sampler, steps=3))
    prints.add(replace(bench, materials=slower).fingerprint(LORA, SUBJECT))
    prints.add(replace(bench, contenders={"ours": (bench.contenders["ours"][0], "next")}).fingerprint(LORA, SUBJECT))
    assert len(prints) == 7


@pytest.mark.slow
def test_a_cell_that_fails_is_told_and_the_others_are_measured(bench: Bench, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    impossible = BenchSubject("nothing", "car", few)
    mixed = replace(bench, subjects=[impossible, SUBJECT], rows=bench.rows[:1], failures=[])
    assert [cell.subject for cell in mixed.run()] == ["racing_car"]
    assert len(mixed.failures) == 1
    assert "base, nothing" in mixed.failures[0]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--dino", "somewhere"], "go together"),
        (["--photos", "somewhere", "--noun", "dog"], "toybase's judge knows its own world alone"),
        (["--subjects", "unicorn"], "no subject 'unicorn'"),
        (["--base", "no.safetensors", "nowhere"], "there is no"),
        (["--diffusers", "nowhere"], "holds no train_dreambooth"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_made(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench-quality", "--output", str(tmp_path), *words]) == 1
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_row_without_a_noun_says_none(bench: Bench) -> None:
    row = next(row for row in ablations() if row.noun == "none")
    work = bench.work(row, SUBJECT)
    asked = request(bench.materials, work)
    assert work.instance_prompt == f"a {row.identifier}"
    assert asked.options.templates.instance_prompt(asked.identifier, asked.subject.class_noun) == f"a {row.identifier}"

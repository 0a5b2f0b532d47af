"""Growth, bars and tables say what was measured, and what was not."""

from __future__ import annotations

import pytest

from dreambooth_nodes.bench.measured_process import Measurement
from dreambooth_nodes.bench.speed.bars import bars
from dreambooth_nodes.bench.speed.comparison import Share, Trained, compare
from dreambooth_nodes.bench.speed.contenders import KOHYA, OURS, OURS_KOHYA, THEIRS, Contender, our_command
from dreambooth_nodes.bench.speed.growth import Growth, Point
from dreambooth_nodes.bench.speed.real_size import LORA_2, LORA_8, NOT_MEASURED, ROWS, SDXL_FULL, SDXL_LORA, RealResult
from dreambooth_nodes.bench.speed.report import bar_table, growth_tables, main_table

SIDES = [
    Contender(OURS, our_command),
    Contender(THEIRS, our_command, OURS),
    Contender(OURS_KOHYA, our_command),
    Contender(KOHYA, our_command, OURS_KOHYA),
]
SPEEDS = {OURS: 9.0, THEIRS: 4.0, OURS_KOHYA: 6.0, KOHYA: 5.0}
MEMORY = {OURS: 700, THEIRS: 900, OURS_KOHYA: 1, KOHYA: 1}


def one_round() -> dict[str, Measurement]:
    return {name: Measurement(SPEEDS[name], MEMORY[name] * 2**20, 5.0, 9.0, 3 * 2**30) for name in SPEEDS}


def verdicts(real: list[RealResult]) -> dict[str, str]:
    cpu = compare(Trained("toybase lora", "lora", "cpu", "bf16", 2), SIDES[:2], [one_round()], None)
    return {bar.text: bar.verdict for bar in bars(cpu, real)}


def test_a_bar_is_yes_no_or_not_measured() -> None:
    found = verdicts([RealResult(row.name, failure=NOT_MEASURED) for row in ROWS])
    assert found["CPU, lora: at least 2 times diffusers"] == "yes"
    assert found["CPU, lora: 3 times diffusers (aim)"] == "no"
    assert found["CPU, lora: less memory than diffusers"] == "yes"
    missing = {text for text, verdict in found.items() if verdict == "not measured"}
    assert missing == {text for text in found if not text.startswith("CPU, lora") or "TrainLoraNode" in text}


def test_bars_at_real_size() -> None:
    trained = Trained(LORA_2, "lora", "cuda", "bf16", 4)
    share = Share(1e12, matrix_seconds=0.03, roofline_seconds=0.07)
    found = verdicts(
        [
            RealResult(LORA_2, compare(trained, SIDES, [one_round()], None)),
            RealResult(LORA_8, compare(trained, SIDES[:1], [one_round()], share)),
            RealResult(SDXL_LORA, compare(trained, SIDES[:1], [one_round()], None)),
            RealResult(SDXL_FULL, failure="CUDA out of memory"),
        ]
    )
    assert found[f"{LORA_2}: at least 2 times diffusers"] == "yes"
    assert found[f"{LORA_2}: at least 1.3 times kohya"] == "no"
    assert found[f"{LORA_8}: at least 60% of the roofline"] == "yes"
    assert found[f"{LORA_8}: 45% of the matrix peak (stretch)"] == "no"
    assert (found[SDXL_LORA], found[SDXL_FULL]) == ("yes", "no")


def test_growth_is_the_exponent_of_the_cost() -> None:
    points = [Point(n, 2 * n, Measurement(6.0 / n**2, 100 * n, 1.0 + n, 9.0)) for n in (1, 2, 4, 8)]
    growth = Growth("batch_size", tuple(points))
    assert growth.exponent(lambda found: 1 / found.steps_per_second) == pytest.approx(2)
    assert growth.exponent(lambda found: found.peak_memory) == pytest.approx(1)
    assert "time of a step: +2.00" in growth_tables([growth])


def test_tables_have_a_cell_for_every_column() -> None:
    lines = compare(Trained("toybase lora", "lora", "cpu", "bf16", 2), SIDES, [one_round()], Share(1, 0.01, 0.05))
    real = [RealResult(row.name, failure=NOT_MEASURED) for row in ROWS]
    for text in (main_table(lines, real), bar_table(bars(lines, real))):
        rows = text.splitlines()
        assert {row.count("|") for row in rows} == {rows[0].count("|")}
    text = main_table(lines, real)
    assert text.count(NOT_MEASURED) == len(ROWS)
    assert "| 2.25 (2.25..2.25) |" in text and "| 45.0% |" in text

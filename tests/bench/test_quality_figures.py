"""The quality bench's arithmetic: intervals, curves, claims, prompts, rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreambooth_nodes.bench.quality.cell import Cell, Scores, find_cell
from dreambooth_nodes.bench.quality.contender import Trained
from dreambooth_nodes.bench.quality.estimate import Estimate, mean_of, pair_pseudo_values, paired_difference
from dreambooth_nodes.bench.quality.findings import above, findings
from dreambooth_nodes.bench.quality.lines import Line, likeness_at, way_to_real
from dreambooth_nodes.bench.quality.prompts import SEEDS, Prompt, missable_prompts, read_prompts, toybase_prompts
from dreambooth_nodes.bench.quality.report import claims, plot, table, table_by_kind
from dreambooth_nodes.bench.quality.rows import LORA, ablations, main_rows, rivals, settings


def test_the_interval_of_a_mean_covers_the_true_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    samples = [generator.normal(0.3, 1.0, 40).tolist() for _ in range(100)]
    covered = sum(e.low <= 0.3 <= e.high for e in map(mean_of, samples))
    assert 85 <= covered <= 100


def test_pairing_sees_a_small_difference_that_unpaired_intervals_hide() -> None:
    generator = np.random.default_rng(0)
    first = generator.normal(0.5, 0.3, 96)
    second = first - 0.02 + generator.normal(0, 0.01, 96)
    difference = paired_difference(first.tolist(), second.tolist())
    assert difference.low > 0
    assert mean_of(first.tolist()).low < mean_of(second.tolist()).high


def test_what_does_not_pair_or_is_empty_is_refused() -> None:
    with pytest.raises(ValueError, match="3 values do not pair with 2"):
        paired_difference([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="no values"):
        mean_of([])


@given(st.floats(0, 1))
def test_on_a_straight_curve_likeness_is_read_off_the_line(prompt_following: float) -> None:
    curve = [(100, 1.0, 0.2), (200, 0.5, 0.6), (400, 0.0, 1.0)]
    assert likeness_at(curve, prompt_following) == pytest.approx(1 - 0.8 * prompt_following)


def test_beyond_the_curve_there_is_no_answer_and_before_it_the_best_look_counts() -> None:
    assert likeness_at([(100, 0.7, 0.3), (200, 0.6, 0.5)], 0.9) is None
    assert likeness_at([(100, 0.7, 0.3), (200, 0.6, 0.5)], 0.2) == 0.5


def test_values_over_pairs_keep_their_mean_and_get_their_true_spread() -> None:
    generator = np.random.default_rng(0)
    means = []
    widths = []
    for _ in range(200):
        points = generator.normal(0, 1, 24)
        distance = np.abs(points[:, None] - points[None])
        values = pair_pseudo_values((distance.sum(1) / 23).tolist())
        means.append(distance.sum() / (24 * 23))
        widths.append(np.std(values, ddof=1) / np.sqrt(24))
        assert np.mean(values) == pytest.approx(means[-1])
    assert np.mean(widths) == pytest.approx(np.std(means), rel=0.2)


def test_every_row_says_what_it_changes() -> None:
    rows = [*main_rows(), *ablations(), *settings(), *rivals(("ours", "diffusers", "TrainLoraNode"))]
    assert len({row.name for row in rows}) == len(rows)
    assert len({row.said_noun("dog") for row in ablations()} | {"dog"}) == 3
    assert all(row.looks[-1] == row.steps for row in rows if row.steps)
    assert LORA.looks == tuple(sorted(LORA.looks))
    # core's node knows no prior term
    assert all(row.priors == 0 for row in rows if row.trainer == "TrainLoraNode")


def test_prompts_leave_no_gap_where_a_word_is_missing() -> None:
    prompt = toybase_prompts()[0]
    assert len(toybase_prompts()) >= 10
    assert prompt.text("dog") == "a dog on the beach"
    assert prompt.asked("olt", "dog") == "a olt dog on the beach"
    assert prompt.asked("", "dog") == "a dog on the beach"
    assert prompt.asked("olt", "") == "a olt on the beach"


def test_prompts_that_can_be_missed_ask_for_more_than_a_place_or_for_none() -> None:
    by_kind: dict[str, list[str]] = {}
    for prompt in missable_prompts():
        by_kind.setdefault(prompt.kind, []).append(prompt.text("dog", ("beach", "snow")))
        assert prompt.asked("olt", "dog").count("olt dog") == 1
    assert {kind: len(texts) for kind, texts in by_kind.items()} == {
        "two attributes": 7, "no place": 3, "two places": 6,
    }  # fmt: skip
    assert "an orange dog in the snow" in by_kind["two attributes"]
    assert by_kind["no place"][0] == "a dog, anywhere but on the beach, in the snow"
    assert by_kind["two places"][0] == "a dog on the beach at night"
    assert Prompt("a [V] {class}", "no place").text("dog") == "a dog"


def test_prompt_following_is_told_by_kind(tmp_path: Path) -> None:
    asked = [Prompt("a [V] {class} at night"), Prompt("a [V] {class}", "no place"), Prompt("{class} [V]", "no place")]
    cells = [cell("LoRA", 0.5, 0.5, tmp_path) for _ in range(2)]
    for one in cells:
        scores = one.last["judge"]
        scores.prompt_following[:] = [1.0] * SEEDS + [0.5] * SEEDS + [0.25] * SEEDS
    line = Line("LoRA", cells, "judge")
    found = line.following(asked)
    assert {kind: estimate.value for kind, estimate in found.items()} == {"one place": 1.0, "no place": 0.375}
    header, _, row = table_by_kind([line], asked).splitlines()
    assert header == "| prompt following | one place | no place |" and row.startswith("| LoRA | 1.000")


def test_a_prompt_file_that_forgets_the_subject_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a [V] {class} in the jungle\na {class} in Paris\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"'a \{class\} in Paris' lacks \[V\]"):
        read_prompts(file)
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no prompt"):
        read_prompts(file)


def cell(row: str, likeness: float, pres: float, folder: Path, seconds: float = 60.0) -> Cell:
    scores = Scores([likeness, likeness + 0.02] * 8, [0.9] * 16, [pres, pres + 0.01] * 8, [0.4] * 16, [1.0] * 16)
    looks = {100: {"judge": scores}, 200: {"judge": scores}}
    return Cell(row, "dog1", row.ljust(24, "0"), folder, Trained(seconds, 0.01, 10**6), looks)


def test_a_kept_cell_is_found_whole_and_no_other_is(tmp_path: Path) -> None:
    kept = cell("LoRA", 0.8, 0.5, tmp_path)
    kept.write()
    assert find_cell(tmp_path, kept.fingerprint) == kept
    assert find_cell(tmp_path, "another".ljust(24, "0")) is None


def lines(folder: Path, **likeness_and_pres: tuple[float, float]) -> dict[str, Line]:
    names = {"base": "base", "lora": "LoRA", "plain": "LoRA, no priors", "theirs": "diffusers: LoRA"}
    return {
        names[key]: Line(names[key], [cell(names[key], *values, folder)], "judge")
        for key, values in likeness_and_pres.items()
    }


def test_claims_hold_exactly_where_the_figures_say_so(tmp_path: Path) -> None:
    good = lines(tmp_path, base=(0.2, 0.2), lora=(0.8, 0.25), plain=(0.81, 0.6))
    assert way_to_real(good, "LoRA", 1.01) == pytest.approx(0.75)
    assert all(f.holds == "yes" for f in findings(good, 1.01, 0.05))
    bad = lines(tmp_path, base=(0.2, 0.2), lora=(0.4, 0.7), plain=(0.81, 0.6))
    held = {f.claim: f.holds for f in findings(bad, 1.01, 0.05)}
    assert held["LoRA: likeness closes at least 60% of the way to the real photos"] == "no"
    assert held["LoRA: priors lower PRES"] == "no"
    assert held["LoRA: priors cost less than 0.03 of likeness"] == "no"


def test_an_interval_that_holds_the_limit_decides_nothing() -> None:
    assert above(0.0)(Estimate(0.1, 0.05, 0.2)) == "yes"
    assert above(0.0)(Estimate(0.1, -0.05, 0.2)) == "undecided"
    assert above(0.0)(Estimate(-0.1, -0.2, -0.05)) == "no"


@pytest.mark.parametrize(
    ("theirs", "our_seconds", "holds"),
    [((0.7, 0.25), 30.0, "yes"), ((0.9, 0.25), 30.0, "no"), ((0.7, 0.25), 90.0, "no")],
)
def test_ahead_of_a_rival_is_more_alike_and_faster(
    theirs: tuple[float, float], our_seconds: float, holds: str, tmp_path: Path
) -> None:
    measured = lines(tmp_path, base=(0.2, 0.2), lora=(0.8, 0.25), theirs=theirs)
    measured["LoRA"].cells[0].cost = Trained(our_seconds, 0.01, 10**6)
    found = findings(measured, 1.0, 0.05)
    assert [f.holds for f in found if "diffusers" in f.claim] == [holds]


def test_the_report_names_every_row_and_the_plot_is_drawn(tmp_path: Path) -> None:
    measured = lines(tmp_path, base=(0.2, 0.2), lora=(0.8, 0.25), plain=(0.81, 0.6))
    text = table(list(measured.values())) + claims(findings(measured, 1.0, 0.05))
    assert all(f"| {name} |" in text for name in measured)
    plot(list(measured.values()), 1.0, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000

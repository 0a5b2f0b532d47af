"""Ratios are taken within a round, where both sides met the same machine."""

from __future__ import annotations

import json

import pytest

from dreambooth_nodes.bench.comparison import Round, compare, record, table
from dreambooth_nodes.bench.contenders import OURS, THEIRS, THEIRS_CACHED
from dreambooth_nodes.bench.measured_process import Measurement


def one_round(ours: float, theirs: float, memory: int = 100) -> Round:
    return {OURS: Measurement(ours, memory, 1.0), THEIRS: Measurement(theirs, 2 * memory, 2.0)}


def test_a_load_that_strikes_whole_rounds_leaves_the_ratio_alone() -> None:
    calm = [one_round(8, 4), one_round(8, 4), one_round(8, 4)]
    loaded = [one_round(8, 4), one_round(2, 1), one_round(4, 2)]
    for rounds in (calm, loaded):
        (found,) = compare("lora", "bf16", rounds)
        assert (found.lowest_ratio, found.ratio, found.highest_ratio) == (2, 2, 2)


def test_the_ratio_is_the_median_and_the_spread_is_told() -> None:
    (found,) = compare("lora", "bf16", [one_round(9, 3), one_round(4, 4), one_round(8, 4)])
    assert (found.lowest_ratio, found.ratio, found.highest_ratio) == (1, 2, 3)
    assert "2.00 (1.00..3.00)" in table([found])


def test_memory_is_the_highest_of_all_rounds() -> None:
    (found,) = compare("full", "bf16", [one_round(2, 1, 50), one_round(2, 1, 70), one_round(2, 1, 60)])
    assert (found.our_peak_memory, found.their_peak_memory) == (70, 140)


def test_every_rival_has_a_line_whatever_the_order_of_a_round() -> None:
    first = {**one_round(8, 4), THEIRS_CACHED: Measurement(5, 1, 1)}
    turned = dict(reversed(first.items()))
    for rounds in ([first, turned], [turned, first]):
        found = {c.rival: c.ratio for c in compare("lora", "bf16", rounds)}
        assert found == {THEIRS: 2, THEIRS_CACHED: pytest.approx(1.6)}


def test_every_measurement_is_in_the_record() -> None:
    rounds = [one_round(8, 4), one_round(2, 1)]
    kept = json.loads(json.dumps(record(rounds)))
    assert [{name: Measurement(**fields) for name, fields in one.items()} for one in kept] == rounds

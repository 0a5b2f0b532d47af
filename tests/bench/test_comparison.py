"""Ratios are taken within a round, where all sides met the same machine."""

from __future__ import annotations

import json

import pytest

from dreambooth_nodes.bench.measured_process import Measurement
from dreambooth_nodes.bench.speed.comparison import Line, Share, Trained, compare, record
from dreambooth_nodes.bench.speed.contenders import OURS, THEIRS, THEIRS_CACHED, Contender, our_command
from dreambooth_nodes.bench.speed.rounds import Round

LORA = Trained("toybase lora", "lora", "cpu", "bf16", 2)
SIDES = [Contender(OURS, our_command), Contender(THEIRS, our_command, OURS)]


def measurement(speed: float, memory: int, device_memory: int | None = None) -> Measurement:
    return Measurement(speed, memory, 5.0, 10.0, device_memory)


def one_round(ours: float, theirs: float, memory: int = 100) -> Round:
    return {OURS: measurement(ours, memory), THEIRS: measurement(theirs, 2 * memory)}


def lines(rounds: list[Round], share: Share | None = None) -> tuple[Line, Line]:
    ours, theirs = compare(LORA, SIDES, rounds, share)
    return ours, theirs


def test_a_load_that_strikes_whole_rounds_leaves_the_ratio_alone() -> None:
    calm = [one_round(8, 4), one_round(8, 4), one_round(8, 4)]
    loaded = [one_round(8, 4), one_round(2, 1), one_round(4, 2)]
    for rounds in (calm, loaded):
        ours, theirs = lines(rounds)
        assert (ours.ratio, theirs.ratio) == (None, (2, 2, 2))


def test_the_ratio_is_the_median_and_the_spread_is_told() -> None:
    _, theirs = lines([one_round(9, 3), one_round(4, 4), one_round(8, 4)])
    assert theirs.ratio == (2, 1, 3)


def test_memory_is_the_highest_of_all_rounds() -> None:
    ours, theirs = lines([one_round(2, 1, 50), one_round(2, 1, 70), one_round(2, 1, 60)])
    assert (ours.peak_memory, theirs.peak_memory, ours.device_memory) == (70, 140, None)
    on_device = [{OURS: measurement(1, 1, 5), THEIRS: measurement(1, 1, 8)}]
    assert [line.device_memory for line in lines(on_device)] == [5, 8]


def test_every_rival_is_compared_with_its_own_side_of_ours_whatever_the_order_of_a_round() -> None:
    padded = Contender("ours, padded", our_command)
    sides = [*SIDES, padded, Contender(THEIRS_CACHED, our_command, padded.name)]
    first = {**one_round(8, 4), padded.name: measurement(6, 1), THEIRS_CACHED: measurement(5, 1)}
    turned = dict(reversed(first.items()))
    for rounds in ([first, turned], [turned, first]):
        found = {line.contender: line.ratio and line.ratio[0] for line in compare(LORA, sides, rounds, None)}
        assert found == {OURS: None, THEIRS: 2, padded.name: None, THEIRS_CACHED: pytest.approx(1.2)}


def test_shares_of_the_limit_are_our_speed_times_what_a_step_costs() -> None:
    ours, theirs = lines([one_round(8, 4)], Share(flops=1e9, matrix_seconds=0.01, roofline_seconds=0.05))
    assert (ours.of_matrix, ours.of_roofline) == (pytest.approx(0.08), pytest.approx(0.4))
    assert (theirs.of_matrix, theirs.of_roofline) == (None, None)
    assert (ours.images_per_second, theirs.images_per_second) == (16, 8)


def test_every_measurement_is_in_the_record() -> None:
    rounds = [one_round(8, 4), one_round(2, 1)]
    kept = json.loads(json.dumps(record(rounds)))
    assert [{name: Measurement(**fields) for name, fields in one.items()} for one in kept] == rounds

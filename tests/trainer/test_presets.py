"""Presets are options that hold together, in the order of the time that they take."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest

from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.choices import MethodName
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.presets import DEFAULT, PRESETS, preset_named


@pytest.mark.parametrize("method", get_args(MethodName))
def test_every_preset_is_a_set_of_options_and_each_takes_longer_than_the_one_before(method: MethodName) -> None:
    chosen = [TrainOptions(method=method, **preset.options(method)) for preset in PRESETS.values()]
    assert all(a.steps < b.steps for a, b in pairwise(chosen))


def test_the_options_of_a_script_that_says_nothing_are_the_default_preset() -> None:
    assert TrainOptions() == TrainOptions(**preset_named(DEFAULT).options("lora"))


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match=r"'quick'.*fast, balanced, best likeness"):
        preset_named("quick")

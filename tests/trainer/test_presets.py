"""Presets are options that hold together, in the order of the time that they take."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest

from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.choices import MethodName
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.presets import DEFAULT, PRESETS, PresetName, preset_named


@pytest.mark.parametrize("method", get_args(MethodName))
def test_every_preset_is_a_set_of_options_and_each_takes_longer_than_the_one_before(method: MethodName) -> None:
    chosen = {name: TrainOptions(method=method, **preset.options(method)) for name, preset in PRESETS.items()}
    assert all(a.steps < b.steps for a, b in pairwise(chosen[name] for name in get_args(PresetName)[:3]))
    assert chosen["object"] == chosen["balanced"] and chosen["person"] == chosen["best likeness"]


@pytest.mark.parametrize("name", ["person", "object", "style"])
def test_steps_of_a_kind_of_subject_follow_the_number_of_photos_within_bounds(name: PresetName) -> None:
    preset = PRESETS[name]
    steps = [preset.steps("lora", photos) for photos in range(1, 200)]
    assert steps == sorted(steps) and preset.by_photos is not None
    assert (steps[0], steps[-1]) == (preset.by_photos.least, preset.by_photos.most)
    inside = [photos for photos in range(1, 200) if steps[photos - 1] == photos * preset.by_photos.each]
    assert len(inside) >= 8 and 8 in inside
    assert preset.options("full", photos=8)["steps"] == preset.steps("lora", 8) // 2


def test_steps_of_a_training_time_are_the_same_for_any_number_of_photos() -> None:
    assert PRESETS["balanced"].by_photos is None and PRESETS["balanced"].steps("lora", 50) == 800


def test_the_options_of_a_script_that_says_nothing_are_the_default_preset() -> None:
    assert TrainOptions() == TrainOptions(**preset_named(DEFAULT).options("lora"))


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match=r"'quick'.*fast, balanced, best likeness"):
        preset_named("quick")

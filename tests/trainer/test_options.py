"""Options are checked once, and the run's key holds what changes weights and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreambooth_nodes.trainer.options import KINDS, SETTINGS, TrainOptions
from dreambooth_nodes.trainer.options.setting import GROUPS, OptionError
from dreambooth_nodes.trainer.prompts import PromptTemplates
from dreambooth_nodes.trainer.runs.personalized import FileNameError, checked_name


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"rank": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"seed": -1},
        {"method": "dreambooth"},
        {"prior_weight": -1.0},
        {"alpha": -2.0},
        {"batch_size": 0},
        {"snr_gamma": 0.0},
        {"steps": 2.5},
        {"steps": "8"},
        {"rank": True},
        {"prior_weight": float("inf")},
        {"learning_rate": None},
        {"checkpointing": "no"},
    ],
)
def test_an_option_out_of_range_is_refused_by_name_and_value(change: dict[str, Any]) -> None:
    ((name, value),) = change.items()
    with pytest.raises(OptionError, match=f"{name} is {value!r}"):
        TrainOptions(**change)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind in (int, float)])
def test_a_number_just_out_of_its_range_is_refused_and_its_least_value_is_taken(name: str) -> None:
    one, kind = SETTINGS[name], KINDS[name]
    assert one.minimum is not None and one.widget_end > one.minimum
    least = one.minimum + (one.open_minimum and 1e-9)
    assert getattr(TrainOptions(**{name: kind(least)}), name) == least
    with pytest.raises(OptionError, match=f"{name} is .*{one.allowed}"):
        TrainOptions(**{name: kind(one.minimum) if one.open_minimum else kind(one.minimum - 1)})


def test_every_setting_belongs_to_a_group() -> None:
    assert {one.group for one in SETTINGS.values()} == set(GROUPS)


def test_previews_are_outside_the_key_and_the_rest_is_in_it() -> None:
    plain = TrainOptions().weight_settings
    outside = {"sample_every": 5, "sample_prompt": "x", "sample_count": 3}
    outside |= {"save_every": 7, "state_seconds": 0.0, "fit_memory": True}
    assert TrainOptions(**outside).weight_settings == plain
    assert TrainOptions(templates=PromptTemplates("photo of [V] {class}")).weight_settings != plain
    later = {name for name, one in SETTINGS.items() if one.added_later}
    of_words = {"vectors", "start_word", "contexts"}
    assert TrainOptions().settings.keys() == plain.keys() | outside.keys() | later | of_words
    assert TrainOptions(method="textual_inversion").weight_settings.keys() == plain.keys() | of_words


def test_an_option_of_a_later_version_changes_the_key_only_where_it_is_used() -> None:
    plain = TrainOptions().weight_settings
    assert "score_every" not in plain
    assert TrainOptions(score_every=100).weight_settings == {**plain, "score_every": 100}


@pytest.mark.parametrize(
    ("together", "change"),
    [
        ({"method": "full", "base_in_8_bits": True}, {"base_in_8_bits": False}),
        ({"method": "full", "base_in_8_bits": True}, {"method": "lora"}),
        ({"trained_weights": "bf16", "optimizer": "adafactor"}, {"trained_weights": "fp32"}),
        ({"method": "textual_inversion", "train_text_encoder": True}, {"train_text_encoder": False}),
        ({"method": "textual_inversion", "train_text_encoder": True}, {"method": "lora"}),
        ({"method": "full", "trained_weights": "bf16"}, {"optimizer": "adafactor"}),
        ({"fused_backward": True}, {"optimizer": "adafactor"}),
        ({"method": "full", "prior": "stay close to the base, by factors"}, {"prior": "stay close to the base"}),
        ({"fused_backward": True, "optimizer": "adafactor", "accumulation": 2}, {"accumulation": 1}),
        ({"fused_backward": True, "optimizer": "adafactor", "precision": "fp16"}, {"precision": "bf16"}),
        ({"early_stop": 3}, {"score_every": 100}),
    ],
)
def test_options_that_do_not_go_together_name_a_change_that_helps(
    together: dict[str, Any], change: dict[str, Any]
) -> None:
    ((name, value),) = change.items()
    with pytest.raises(OptionError, match=rf"(set|or) {name}\b.* to {value!r}"):
        TrainOptions(**together)
    TrainOptions(**{**together, **change})


def test_a_learned_word_has_no_prior() -> None:
    assert TrainOptions().prior_in_use == "class images"
    assert TrainOptions(prior_weight=0.0).prior_in_use == "off"
    assert TrainOptions(method="textual_inversion", prior="compare with the base").prior_in_use == "off"


@pytest.mark.parametrize("name", ["my dog", "Rex-2", "hund_ä", "a.b", "x" * 100])
def test_ordinary_names_pass(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a/b",
        "a\\b",
        "../x",
        ".hidden",
        "a\nb",
        "x" * 300,
        "CON",
        "nul.txt",
        "com1",
        "dog.",
        " dog",
        "a:b",
        "ü" * 60,
    ],
)
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    with pytest.raises(FileNameError):
        checked_name(name)


@given(st.text(max_size=120))
def test_a_name_that_passes_stays_in_its_folder(name: str) -> None:
    try:
        checked = checked_name(name)
    except FileNameError:
        return
    assert not set(checked) & set("/\\:\0\n") and checked not in (".", "..") and len(checked.encode()) <= 100

"""Every option of a training is a flag, and what is not said comes from the preset."""

from __future__ import annotations

import argparse
from dataclasses import fields

import pytest

from dreambooth_nodes.command_line.option_flags import add_option_flags, chosen_options, with_steps_of_photos
from dreambooth_nodes.trainer.options import TEXTS, TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.presets import PRESETS


@pytest.fixture(autouse=True)
def not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)


def options(*words: str) -> TrainOptions:
    parser = argparse.ArgumentParser()
    add_option_flags(parser)
    return chosen_options(parser.parse_args(words))


def test_every_field_has_a_text_and_every_text_a_flag() -> None:
    assert {field.name for field in fields(TrainOptions)} == {*TEXTS, "templates"}
    parser = argparse.ArgumentParser()
    add_option_flags(parser)
    shown = " ".join(parser.format_help().split())
    for name, text in TEXTS.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert text in shown


def test_a_preset_says_what_the_flags_do_not() -> None:
    for name, preset in PRESETS.items():
        chosen = options("--preset", name, "--method", "full", "--rank", "3")
        assert (chosen.steps, chosen.rank) == (preset.steps("full"), 3)
        assert chosen.learning_rate == preset.options("full")["learning_rate"]


def test_steps_that_follow_the_photos_do_where_no_flag_says_them() -> None:
    parser = argparse.ArgumentParser()
    add_option_flags(parser)
    for words, steps in (
        (("--preset", "object"), 1280), (("--preset", "object", "--steps", "7"), 7), (("--preset", "fast"), 400),
        (("--preset", "object", "--method", "full"), 640),
    ):  # fmt: skip
        arguments = parser.parse_args(words)
        assert with_steps_of_photos(chosen_options(arguments), arguments, 8).steps == steps


def test_flags_reach_every_kind_of_field() -> None:
    words = "--alpha 4 --no-checkpointing --train-text-encoder --schedule cosine --snr-gamma 5 --sample-prompt x"
    chosen = options(*words.split(), "--instance-prompt", "photo of [V] {class}")
    assert (chosen.alpha, chosen.snr_gamma, chosen.schedule) == (4.0, 5.0, "cosine")
    assert (chosen.checkpointing, chosen.train_text_encoder, chosen.sample_prompt) == (False, True, "x")
    assert chosen.templates.instance == "photo of [V] {class}"


def test_a_value_out_of_range_is_refused_as_everywhere() -> None:
    with pytest.raises(OptionError, match="steps is 0"):
        options("--steps", "0")


def test_the_launchers_precision_counts_unless_a_flag_says_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert options().precision == "bf16"
    assert options("--precision", "fp32").precision == "fp32"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert options().precision == "auto"

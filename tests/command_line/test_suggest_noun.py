"""`suggest-noun` and `train --noun auto`, on a base of random weights: what is answered, not how well."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreambooth_nodes.demo.environment import ROOT
from dreambooth_nodes.tests.command_line.conftest import Command
from dreambooth_nodes.trainer.subject.class_nouns import SHOWN, everyday_nouns

PHOTOS = ROOT / "toybase" / "subjects" / "teapot"


@pytest.mark.slow
def test_eight_nouns_are_listed_with_their_odds_and_training_takes_the_first(
    command: Command, tiny_base_file: Path, tmp_path: Path
) -> None:
    said = ("--base", tiny_base_file, "--photos", PHOTOS, "--width", 64)
    found = command("suggest-noun", *said)
    nouns = [one["noun"] for one in found["nouns"]]
    assert len(nouns) == SHOWN and set(nouns) <= set(everyday_nouns()) and found["noun"] == nouns[0]
    odds = [one["odds"] for one in found["nouns"]]
    assert odds == sorted(odds, reverse=True) and sum(odds) == pytest.approx(1)
    trained = command(
        "train", *said, "--noun", "auto", "--identifier", "olt", "--priors", 0, "--steps", 1, "--output", tmp_path
    )
    assert trained["trigger"] == f"olt {nouns[0]}"

"""`identifier`: the lookup alone, and measured in a model as `train` measures it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreambooth_nodes.tests.command_line.conftest import Command
from dreambooth_nodes.tests.interruption import main


def test_the_lookup_alone_needs_no_base(command: Command) -> None:
    found = command("identifier", "--length", 2, "--count", 3, "--seed", 5)
    assert [len(candidate["token_ids"]) for candidate in found["candidates"]] == [2, 2, 2]
    assert found["identifier"] == found["candidates"][0]["text"]
    assert {candidate["prior"] for candidate in found["candidates"]} == {None}


def test_with_a_base_the_weakest_prior_is_first(tiny_base_file: Path, command: Command) -> None:
    said = ("--base", tiny_base_file, "--noun", "dog", "--device", "cpu")
    found = command("identifier", *said, "--count", 3)
    priors = [candidate["prior"] for candidate in found["candidates"]]
    assert priors == sorted(priors)
    assert priors[0] > 0
    assert found["identifier"] == found["candidates"][0]["text"]


@pytest.mark.parametrize("words", [("--noun", "dog"), ("--base", "somewhere.safetensors")])
def test_a_base_and_a_noun_go_together(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identifier", *words]) == 1
    assert "go together" in capsys.readouterr().err

"""`train --resume` after a kill that nothing can catch."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.tests.command_line.conftest import ROOT, Command, started, train_words
from dreambooth_nodes.tests.interruption import main
from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.trainer.files.safetensors import read_tensors

STEPS = 60
WORDS = ("--steps", STEPS, "--priors", 0, "--rank", 2, "--state-seconds", 0.01, "--memory", "off")


def test_a_killed_run_is_resumed_to_the_same_weights(
    tiny_base_file: Path, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = started([ROOT, *train_words(tiny_base_file, killed, *WORDS)])
    waited = time.monotonic()
    while not list(killed.glob("dreambooth/runs/*/state.safetensors")):
        assert process.poll() is None and time.monotonic() - waited < HANG_SECONDS
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == -signal.SIGKILL and not list(killed.glob("loras/*.safetensors")), err

    assert main(train_words(tiny_base_file, killed, *WORDS, "--resume", "--rank", 4, "--seed", 1)) == 1
    assert re.search(r"has other settings: .*seed was 0, now 1.*rank was 2, now 4", capsys.readouterr().err)

    result = command(*train_words(tiny_base_file, killed, *WORDS, "--resume"))
    straight = command(*train_words(tiny_base_file, whole, *WORDS))
    assert (result["status"], result["steps"], result["loss"]) == ("finished", STEPS, straight["loss"])
    one, other = (read_tensors(Path(said["file"])) for said in (result, straight))
    assert all(torch.equal(one[key], other[key]) for key in one)
    (record,) = killed.glob("dreambooth/runs/*/run.json")
    assert len(json.loads(record.read_text())["losses"]) == STEPS
    assert not record.with_name("state.safetensors").exists()


def test_without_a_run_there_is_nothing_to_resume(
    tiny_base_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(train_words(tiny_base_file, tmp_path, *WORDS, "--resume")) == 1
    assert re.search(r"no unfinished run of 'spotted_dog'", capsys.readouterr().err)
    assert not list(tmp_path.glob("dreambooth/runs/*"))


def test_where_there_is_no_run_it_may_begin(tiny_base_file: Path, tmp_path: Path, command: Command) -> None:
    few = ("--steps", 2, "--priors", 0, "--rank", 2, "--memory", "off", "--resume=if-begun")
    result = command(*train_words(tiny_base_file, tmp_path, *few))
    assert (result["status"], result["steps"], result["found"]) == ("finished", 2, False)

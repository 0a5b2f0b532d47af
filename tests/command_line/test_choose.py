"""`choose`: the steps that can be chosen, and a kept one as the result of a finished run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.tests.command_line.conftest import Command
from dreambooth_nodes.tests.interruption import main
from dreambooth_nodes.trainer.files.safetensors import read_metadata, read_tensors, write_tensors
from dreambooth_nodes.trainer.runs.personalized import Personalized
from dreambooth_nodes.trainer.runs.record import FORMAT

KEY = "c" * 64


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A finished run whose result is step 200, with files of steps 100 and 200 to choose from."""
    output = tmp_path / "output"
    folder = output / "dreambooth" / "runs" / KEY[:24]
    for step in (100, 200):
        file = folder / "scored" / f"step_{step:06d}.safetensors"
        result = Personalized(file, "lora", "olt", "dog", "f" * 64, step, 0)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_tensors({"weight": torch.full((2,), float(step))}, file, result.metadata())
    first = output / "loras" / "dog_00001.safetensors"
    first.parent.mkdir()
    first.write_bytes((folder / "scored" / "step_000200.safetensors").read_bytes())
    files = [{"step": 200, "file": "loras/dog_00001.safetensors"}]
    record = {"format": FORMAT, "key": KEY, "name": "dog", "status": "finished", "files": files}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return output


def test_the_kept_steps_are_listed_and_one_becomes_the_result(command: Command, output: Path) -> None:
    assert command("choose", "dog", "--output", output) == {"run": "dog", "steps": [100, 200]}
    told = command("choose", "dog", "--output", output, "--step", 100)
    file = Path(told["file"])
    assert (told["step"], file.name) == (100, "dog_00002.safetensors")
    assert read_tensors(file)["weight"].tolist() == [100.0, 100.0]
    assert read_metadata(file)["dreambooth.choice"] == "step 100, chosen by the user; the scores chose none"
    record = json.loads((output / "dreambooth" / "runs" / KEY[:24] / "run.json").read_text(encoding="utf-8"))
    assert [entry["step"] for entry in record["files"]] == [200, 100]


def test_a_program_is_told_the_choice_as_an_event(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["choose", KEY[:24], "--output", str(output), "--step", "100", "--events"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["event"], told["step"], Path(told["file"]).name) == ("result", 100, "dog_00002.safetensors")
    assert told["choice"].startswith("step 100, chosen by the user")


@pytest.mark.parametrize(
    ("step", "told"), [("300", "those that can be chosen are [100, 200]"), ("0", "Step 0 has no file")]
)
def test_a_step_without_a_file_is_refused(
    output: Path, capsys: pytest.CaptureFixture[str], step: str, told: str
) -> None:
    assert main(["choose", "dog", "--output", str(output), "--step", step]) == 1
    assert told in capsys.readouterr().err
    assert len(list((output / "loras").iterdir())) == 1

"""`explain` and `report` on the records of trainings that went wrong, found as a user names them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields
from pathlib import Path

import pytest

from dreambooth_nodes.tests.command_line.conftest import Command
from dreambooth_nodes.tests.interruption import main
from dreambooth_nodes.trainer.events import Step
from dreambooth_nodes.trainer.runs.record import FORMAT

RECORDS = Path(__file__).resolve().parents[1] / "trainer" / "runs" / "wrong_runs"
POINT = [field.name for field in fields(Step)]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder with two runs, `high` the newer one."""
    for number, name in enumerate(("low", "high")):
        record = json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))
        record["losses"] = [dict(zip(POINT, point, strict=True)) for point in record["losses"]]
        key = f"{number}" * 64
        files = [{"step": 300, "file": f"loras/{name}_00001.safetensors"}]
        folder = tmp_path / "output" / "dreambooth" / "runs" / key[:24]
        folder.mkdir(parents=True)
        whole = {**record, "format": FORMAT, "key": key, "files": files}
        (folder / "run.json").write_text(json.dumps(whole), encoding="utf-8")
        (folder / "log.txt").write_text(f"saved {tmp_path}/loras/{name}_00001.safetensors\n", encoding="utf-8")
    return tmp_path / "output"


@pytest.mark.parametrize("named", ["low", "low_00001", "low_00001.safetensors", "0" * 64, "0" * 24])
def test_a_run_is_found_by_its_name_its_file_and_its_key(command: Command, output: Path, named: str) -> None:
    told = command("explain", named, "--output", output)
    assert told["run"] == "low" and [one["name"] for one in told["findings"]] == ["learned nothing"]


def test_a_run_is_found_by_its_folder_and_the_newest_without_a_name(command: Command, output: Path) -> None:
    folder = output / "dreambooth" / "runs" / ("0" * 24)
    assert command("explain", folder)["run"] == "low"
    assert command("explain", "--output", output)["changes"] == {"learning_rate": 1e-3}


def test_an_unknown_run_names_those_there_are(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "cat", "--output", str(output)]) == 1
    said = capsys.readouterr().err
    assert "no run 'cat'" in said and "high, low" in said


def test_people_read_the_cause_and_the_flags_of_the_next_run(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "low", "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert "hardly learned anything" in said and "--learning-rate=0.0001" in said


def test_the_next_run_is_set_by_the_file(
    command: Command, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "next.toml"
    command("explain", "low", "--output", output, "--next", file)
    words = ["train", "--config", str(file), "--base", str(tmp_path / "none"), "--photos", str(tmp_path)]
    assert main(words) == 1
    # Its flags are taken, so what fails is the base that is not there.
    assert "none" in capsys.readouterr().err
    text = file.read_text(encoding="utf-8")
    assert "learning_rate = 0.0001" in text and "steps = 300" in text and 'noun = "car"' in text
    assert main(["explain", "low", "--output", str(output), "--next", str(file)]) == 1
    assert "name a new file" in capsys.readouterr().err


def test_a_report_has_no_name_and_no_path(command: Command, output: Path, tmp_path: Path) -> None:
    told = command("report", "low", "--output", output, "--zip", tmp_path / "a.zip")
    with zipfile.ZipFile(told["file"]) as opened:
        texts = {name: opened.read(name).decode() for name in opened.namelist()}
    assert list(texts) == told["contents"] == ["report.json", "explanation.txt", "log.txt"]
    assert "learned nothing" in texts["explanation.txt"] and texts["log.txt"] == "saved (path)"
    assert not [text for text in texts.values() if str(tmp_path) in text or "low_00001" in text]

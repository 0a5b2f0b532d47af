"""`train`, as a script uses it: JSON, exit statuses, signals, launchers; the same run is trained once."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.tests.command_line.conftest import PHOTOS, ROOT, Command, started, train_words
from dreambooth_nodes.tests.interruption import main
from dreambooth_nodes.tests.waiting import HANG_SECONDS
from dreambooth_nodes.trainer.files.safetensors import read_shapes
from dreambooth_nodes.trainer.runs.personalized import read_personalized

STEPS = 3


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="session")
def trained(tiny_base_file: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """By accelerate's launcher, in processes of their own."""
    launch = ("-m", "accelerate.commands.launch", "--num_processes", 1, "--cpu", ROOT)
    process = started([*launch, *train_words(tiny_base_file, output, "--steps", STEPS, "--json")])
    out, err = process.communicate(timeout=HANG_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="session")
def result(trained: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert trained.returncode == 0, trained.stderr
    return dict(json.loads(trained.stdout))


def test_the_result_is_one_json_object_and_the_progress_is_elsewhere(
    trained: subprocess.CompletedProcess[str], result: dict[str, Any]
) -> None:
    assert trained.stdout.count("\n") == 1
    for phase in ("class images", "encoding", "training", "steps", "loss=", "prior=", "saving"):
        assert phase in trained.stderr
    assert result["status"] == "finished"
    assert not result["found"]


def test_the_file_is_what_the_result_says(result: dict[str, Any], output: Path) -> None:
    found = read_personalized(Path(result["file"]))
    assert found.file.parent == (output / "loras").resolve()
    assert found.file.name == f"{PHOTOS.name}_00001.safetensors"
    assert (found.trigger, found.steps) == (result["trigger"], STEPS) == ("olt dog", result["steps"])
    assert (result["priors"], result["settings"]["rank"]) == (2, 16)
    assert (Path(result["run"]) / "run.json").is_file()


def test_the_same_run_is_found_whoever_says_its_settings(
    result: dict[str, Any], output: Path, tiny_base_file: Path, tmp_path: Path, command: Command
) -> None:
    if sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    file = tmp_path / "dog.toml"
    shutil.copytree(PHOTOS, tmp_path / PHOTOS.name)
    file.write_text(
        f'identifier = "olt"\nnoun = "dog"\npriors = 2\nprior_steps = 2\nbase = "{tiny_base_file.as_posix()}"\n'
        f'output = "{output.as_posix()}"\ndevice = "cpu"\n'
        f'[train]\nsteps = 99\nphotos = "{PHOTOS.name}"\nprecision = "fp32"\nname = "another"\n'
    )
    again = command("train", "--config", file, "--steps", STEPS)
    assert again["found"]
    assert (again["file"], again["run"], again["loss"]) == (result["file"], result["run"], result["loss"])


def test_class_images_are_drawn_once(
    result: dict[str, Any], output: Path, tiny_base_file: Path, command: Command
) -> None:
    said = ("--base", tiny_base_file, "--noun", "dog", "--output", output, "--device", "cpu", "--prior-steps", 2)
    assert command("priors", *said, "--priors", 2)["drawn"] == 0
    more = command("priors", *said, "--priors", 3)
    assert (more["drawn"], more["count"], len(list(Path(more["folder"]).glob("*.png")))) == (1, 3, 3)


def test_a_stopped_run_is_saved_and_named(tiny_base_file: Path, tmp_path: Path) -> None:
    words = train_words(tiny_base_file, tmp_path, "--steps", 100_000, "--priors", 0, "--json")
    process = started([ROOT, *words])
    assert process.stderr is not None
    said = ""
    while not re.search(r"steps:[^\r\n]* [1-9]\d*/100000", said):
        letter = process.stderr.read(1)
        assert letter, said
        said += letter
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130, said + err
    result = json.loads(out)
    assert result["status"] == "stopped"
    assert 1 <= result["steps"] < 100_000
    assert read_personalized(Path(result["file"])).steps == result["steps"]
    assert read_shapes(Path(result["file"]))
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--base", "nowhere.safetensors"), r"There is no file 'nowhere.safetensors'"),
        (("--photos", "nowhere"), r"photo folder 'nowhere' is not there"),
        (("--steps", 0), "steps is 0"),
        (("--name", "a/b"), "'a/b' cannot be used"),
        (("--noun", " "), "no class noun"),
        (("--priors", -1), "priors is -1"),
        (("--device", "abacus"), "device 'abacus'"),
        (("--width", 63), "training width 63"),
        (("--close-ups", 5), "close_ups is 5; it must be 0 to 4"),
        (("--class-images", "nowhere"), "photo folder 'nowhere' is not there"),
        (("--keep-tags", 2), "keep_tags is 2, and shuffle_tags is False"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    words: tuple[object, ...],
    complaint: str,
    tiny_base_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(train_words(tiny_base_file, tmp_path, *words)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(complaint, err)
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_identifier_for_several_subjects_is_refused(
    tiny_base_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("10_ohwx dog", "5_mdt dog"):
        shutil.copytree(PHOTOS, tmp_path / "photos" / name)
    assert main(train_words(tiny_base_file, tmp_path / "out", "--photos", tmp_path / "photos")) == 1
    assert "--identifier is 'olt', and the 2 folders of subjects name their own" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_flags_that_cannot_be_read_are_status_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (["--stps", "3"], ["--steps", "many"]):
        with pytest.raises(SystemExit) as end:
            main(train_words(tmp_path, tmp_path, *words))
        assert end.value.code == 2
    (tmp_path / "a.toml").write_text("stepps = 3\n")
    assert main(train_words(tmp_path, tmp_path, "--config", tmp_path / "a.toml")) == 2
    assert "stepps" in capsys.readouterr().err


def test_what_no_memory_holds_is_one_line(
    tiny_base_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A petabyte of latents, which no machine has addresses for.
    words = ["priors", "--base", tiny_base_file, "--noun", "dog", "--output", tmp_path, "--device", "cpu"]
    assert main([*map(str, words), "--priors", "1", "--width", "80000000"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "not enough memory" in said and "Smaller pictures" in said

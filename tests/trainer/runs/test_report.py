"""A report is looked into for what must not be in it: photos, paths, names of the user and of the run."""

from __future__ import annotations

import getpass
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from dreambooth_nodes.tests.trainer.short_runs import with_options
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.runs.report import Scrubber, report_files, write_report
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.run import Run
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize

SECRETS = {
    r"C:\Users\Anna Smith\photos\me.jpg: cannot be read": "Anna",
    r"saved to \\nas\anna\loras": "nas",
    "[Errno 28] No space left on device: '/home/anna/out/loras/a.part'": "anna",
    "the file ~/pictures/birthday is torn": "birthday",
    "saved loras/our_child_00001.safetensors": "child",
}


@pytest.mark.parametrize(("text", "secret"), SECRETS.items())
def test_a_path_is_taken_out_of_a_text(text: str, secret: str) -> None:
    assert secret.lower() not in Scrubber({}).text(text).lower()


@pytest.mark.parametrize(
    "text",
    ["0.52 steps/s, 3 s left", "loss 0.1043, prior 0.0133", "needs about 7.5 GB of 8.0 GB free: as it is", "2 + 2 / 4"],
)
def test_what_is_no_path_stays(text: str) -> None:
    assert Scrubber({"anna": "(user)"}).text(text) == text


def test_names_are_taken_out_whole_and_in_any_case() -> None:
    scrubber = Scrubber({"anna": "(user)", "my dog rex": "(name)"})
    assert scrubber.text("saved My Dog Rex_00001 for ANNA; annals stay") == "saved (name)_00001 for (user); annals stay"
    assert scrubber.value({"a": ["anna", 1, None], "b": {"c": "Anna"}}) == {
        "a": ["(user)", 1, None],
        "b": {"c": "(user)"},
    }


def test_a_report_holds_what_helps_and_nothing_private(
    base: Base, asked: Request, store: Store, tmp_path: Path
) -> None:
    request = replace(
        with_options(asked, steps=3, sample_count=1), name="Rex of Anna", base_file=tmp_path / "Anna.safetensors"
    )
    _, run = personalize(type(base)(base.source), request, store)
    run.write(error=f"could not be written to {run.folder} by {getpass.getuser()}")
    file = write_report(run, tmp_path / "report.zip")
    with zipfile.ZipFile(file) as opened:
        contents = {name: opened.read(name).decode() for name in opened.namelist()}
    assert set(contents) == {"report.json", "explanation.txt", "log.txt"}
    report = json.loads(contents["report.json"])
    assert report["versions"]["torch"] and report["settings"]["steps"] == 3 and len(report["losses"]) == 3
    assert report["size"] == [64, 64] and report["status"] == "finished" and "(path)" in report["error"]
    assert "step 3 of 3" in contents["log.txt"] and "saved (name)_00001.safetensors" in contents["log.txt"]
    whole = "\n".join(contents.values())
    digests = [photo.digest.hex() for photo in request.subject.photos]
    private = [str(tmp_path), str(Path.home()), "Rex", "Anna", "spotted_dog", *digests, run.key]
    assert not [one for one in private if one in whole]
    assert getpass.getuser() not in whole.replace('"', " ").split()
    assert request.subject.fingerprint not in whole and b"PNG" not in file.read_bytes()


def test_an_existing_file_is_not_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / "report.zip").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="name a new file"):
        write_report(Run("0" * 64, store, {"name": "dog"}), tmp_path / "report.zip")
    assert (tmp_path / "report.zip").read_bytes() == b"mine"


def test_an_explanation_says_what_it_says_whatever_the_run_is_called(store: Store) -> None:
    files = report_files(Run("0" * 64, store, {"name": "earlier", "error": "an earlier file is in the way"}))
    assert "earlier release" in files["explanation.txt"]
    assert "earlier" not in json.dumps(files["report.json"])

"""`photos`: a folder looked over before anything is trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dreambooth_nodes.tests.command_line.conftest import PHOTOS, Command
from dreambooth_nodes.tests.interruption import main


def test_a_folder_is_told_photo_by_photo(tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "10_sks dog"
    shutil.copytree(PHOTOS, folder)
    first = sorted(folder.glob("*.png"))[0]
    first.with_suffix(".txt").write_text("on the beach")
    shutil.copyfile(first, folder / "twin.png")
    report = command("photos", tmp_path, "--width", 64, "--steps", 60, "--batch-size", 2)
    photos, count = report["photos"], report["count"]
    assert len(photos) == count and report["sizes"] == [[64, 64, count]]
    assert photos[0]["caption"] == "on the beach" and "thumbnail" not in photos[0]
    assert sum(photo["shown"] for photo in photos) == pytest.approx(120, abs=0.1 * count)
    assert photos[-1]["faults"][0]["name"] == "near-duplicate" and first.name in photos[-1]["faults"][0]["why"]
    assert main(["photos", str(tmp_path), "--width", "64"]) == 0
    said = capsys.readouterr().out
    for text in ("10_sks dog: 'sks dog'", f"captions: 1 of {count}", "“on the beach”", "  near-duplicate: Nearly the"):
        assert text in said


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(("nowhere",), "'nowhere' is not there"), ((str(PHOTOS), "--width", "63"), "training width 63")],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["photos", *words]) == 1
    out, err = capsys.readouterr()
    assert out == "" and complaint in err and err.count("\n") == 1

"""Folders that cannot be trained on: one sentence each, that says what to do, and nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dreambooth_nodes.tests.command_line.conftest import PHOTOS, train_words
from dreambooth_nodes.tests.interruption import main

Fill = Callable[[Path], object]


def _copy(*folders: str) -> Fill:
    return lambda root: [shutil.copytree(PHOTOS, root / folder, dirs_exist_ok=True) for folder in folders]


def _masked(size: tuple[int, int]) -> Fill:
    def fill(root: Path) -> None:
        shutil.copytree(PHOTOS, root, dirs_exist_ok=True)
        Image.new("L", size, 255).save(root / "00-masklabel.png")

    return fill


@pytest.mark.parametrize(
    ("fill", "flags", "said"),
    [
        (
            _copy("."),
            ("--buckets", "--width", "64"),
            "64 x 64 pixels are too few for buckets: their narrowest would have a side of 32 pixels, and 64 is the "
            "least; train at a higher resolution",
        ),
        (_masked((40, 30)), (), "00-masklabel.png' is 40 x 30 pixels, its photo"),
        (_copy("dog", "10_olt cat"), (), "whose names do not begin with a number: dog; name each by how often"),
        (_copy("0_sks dog"), (), "is to be shown 0 times: let its name begin with 1 or more"),
        (
            _copy("10_sks dog", "5_SKS Dog"),
            (),
            "give one another identifier, or put their photos together",
        ),
    ],
    ids=["bucket", "mask", "no number", "no repeats", "one trigger"],
)
def test_a_folder_is_refused_in_a_sentence_and_nothing_is_written(
    toybase_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fill: Fill,
    flags: tuple[str, ...],
    said: str,
) -> None:
    folder, output = tmp_path / "photos", tmp_path / "out"
    fill(folder)
    words = train_words(toybase_file, output, "--photos", folder, "--noun", "dog", "--identifier", "auto", *flags)
    assert main(words) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if said in line]
    assert "Traceback" not in line
    assert not [path for path in output.rglob("*") if path.is_file()]

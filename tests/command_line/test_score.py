"""`score`: the figures of the scorer, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from dreambooth_nodes.command_line.dispatch import main
from dreambooth_nodes.toybase.judge_scorer import JudgeScorer
from dreambooth_nodes.trainer.scores.scorer import likeness_between_photos
from dreambooth_nodes.trainer.subject.photos import read_folder

SUBJECTS = Path(__file__).resolve().parents[2] / "toybase" / "subjects"
PICTURES, PHOTOS = SUBJECTS / "pug", SUBJECTS / "spotted_dog"


def run(*words: object) -> int:
    return main(["score", *map(str, words)], "dreambooth")


def test_pictures_are_measured_as_the_scorer_does(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / "likeness.png"
    words = ["--pictures", PICTURES, "--photos", PHOTOS, "--judge", "--prompt", "a dog on the beach"]
    assert run(*words, "--json", "--plot", plot) == 0
    found = json.loads(capsys.readouterr().out)
    pictures, photos = (
        torch.stack([photo.pixels for photo in read_folder(folder, 128, 128)]) for folder in (PICTURES, PHOTOS)
    )
    scorer = JudgeScorer()
    assert [one["likeness"] for one in found["pictures"]] == scorer.likeness(pictures, photos).tolist()
    texts = ["a dog on the beach"] * len(pictures)
    following = [one["prompt_following"] for one in found["pictures"]]
    assert following == scorer.prompt_following(pictures, texts).tolist()
    assert found["real"] == pytest.approx(float(likeness_between_photos(scorer, photos).mean()))
    with Image.open(plot) as drawn:
        assert drawn.format == "PNG" and drawn.height > 5 * 20
    assert run(*words) == 0
    table = capsys.readouterr().out
    assert table.splitlines()[0].split()[0] == "picture" and "mean" in table and "photos among themselves" in table


def test_the_photos_themselves_are_returned(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--pictures", PHOTOS, "--photos", PHOTOS, "--judge", "--json") == 0
    pictures = json.loads(capsys.readouterr().out)["pictures"]
    assert all(one["returns_photo"] and one["prompt_following"] is None for one in pictures)


@pytest.mark.parametrize("both", [[], ["--judge", "--clip", "folder"]])
def test_what_looks_at_the_pictures_is_named_once(both: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--pictures", PHOTOS, "--photos", PHOTOS, *both) == 1
    assert "name what looks at the pictures" in capsys.readouterr().err

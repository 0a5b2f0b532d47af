"""train-predictor and predict: from folders of photos to a predictor, and from photos to a word and pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dreambooth_nodes.command_line import predict, train_predictor
from dreambooth_nodes.tests.command_line.conftest import Command
from dreambooth_nodes.tests.command_line.parsed import parsed
from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.trainer.files.safetensors import read_metadata, read_shapes
from dreambooth_nodes.trainer.instantbooth.predictor import read_predictor
from dreambooth_nodes.trainer.model.families import fingerprint_of
from dreambooth_nodes.trainer.subject.raster import PhotoError

SUBJECTS = Path(__file__).resolve().parents[2] / "toybase" / "subjects"
SHORT = ("--steps", 2, "--batch-size", 2, "--vectors", 2, "--photo-size", 32, "--width", 64, "--device", "cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, "predicted_by_commands") as folder:
        yield write_checkpoint("sd1", folder / "sd1.safetensors")


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dogs, two photos of each."""
    folder = tmp_path_factory.mktemp("subjects")
    for name, subject in (("1_a dog", "pug"), ("1_b dog", "spotted_dog")):
        (folder / name).mkdir()
        for number in range(2):
            shutil.copy(SUBJECTS / subject / f"{number:02d}.png", folder / name)
    return folder


def test_photos_become_a_predictor_and_a_photo_a_word(
    command: Command, base: Path, subjects: Path, tmp_path: Path
) -> None:
    file = tmp_path / "dogs.safetensors"
    trained = command("train-predictor", "--base", base, "--subjects", subjects, "--to", file, *SHORT)
    assert trained == {"file": str(file), "finished": True}
    shape = read_predictor(file).shape
    assert (shape.vectors, shape.photo, shape.resolution, shape.family) == (2, 32, 64, "sd1")
    assert read_metadata(file)["dreambooth.base"] == fingerprint_of(base)
    photos = ("--photos", subjects / "1_a dog", "--noun", "dog", "--output", tmp_path / "out", "--width", 64)
    drawn = ("--draw", "a [trigger] on the beach", "--count", 2, "--name", "pug", "--device", "cpu")
    found = command("predict", "--base", base, "--predictor", file, *photos, *drawn)
    assert found["trigger"] == "<pug_00001>" and found["class_noun"] == "dog"
    assert read_shapes(Path(found["file"])) == {"<pug_00001>": (2, 768)}
    assert read_shapes(Path(found["features"])) == {"patches": (2 * shape.patches, shape.widths[-1])}
    assert len(found["pictures"]) == 2 and all(Path(picture).is_file() for picture in found["pictures"])


def test_a_base_without_a_predictor_of_its_own_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name its own with --predictor"):
        _predict(base, tmp_path)


def test_what_cannot_be_done_is_said_before_anything_is_written(base: Path, subjects: Path, tmp_path: Path) -> None:
    target = tmp_path / "p.safetensors"
    words = ("train-predictor", "--base", base, "--to", target, "--subjects")
    with pytest.raises(ValueError, match="holds one subject"):
        parsed(train_predictor, *words, subjects / "1_a dog", "--noun", "dog", *SHORT)
    with pytest.raises(PhotoError):
        parsed(train_predictor, *words, tmp_path, *SHORT)
    with pytest.raises(ValueError, match="photo a multiple of 16"):
        parsed(train_predictor, *words, subjects, *SHORT, "--photo-size", 40)
    assert not [*tmp_path.iterdir()]


def _predict(base: Path, folder: Path) -> int:
    photos = ("--photos", SUBJECTS / "pug", "--noun", "dog", "--output", folder / "out")
    return parsed(predict, "predict", "--base", base, *photos, "--device", "cpu")

"""`train` says of photos what ComfyUI's panel and the WebUI's tab say, and stops for those that cannot teach."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageFilter

from dreambooth_nodes.tests.command_line.conftest import PHOTOS, Command, train_words
from dreambooth_nodes.tests.interruption import main

UNTAUGHT = {
    "1 x 1": (1, 1),
    "8000 x 16": (8000, 16),
    "16 x 900": (16, 900),
    "one colour": (64, 64),
}


@pytest.mark.parametrize("kind", UNTAUGHT)
def test_a_photo_that_cannot_teach_stops_it(
    kind: str, tiny_base_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", UNTAUGHT[kind], "red").save(folder / "bad.png")
    Image.open(PHOTOS / "00.png").save(folder / "good.png")
    assert main([*train_words(tiny_base_file, tmp_path / "out", "--photos", folder)]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "1 of 2 photos cannot be used" in said and f"bad.png: {kind}".replace("one colour", "It is of one") in said
    assert not (tmp_path / "out" / "loras").exists()


def test_faults_captions_and_what_is_passed_over_are_told(
    tiny_base_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "プードルの写真をたくさん入れた大きなフォルダとても長い名前です「犬」の二"
    folder.mkdir()
    for name in ("00", "01"):
        Image.open(PHOTOS / f"{name}.png").save(folder / f"{name}.png")
    Image.open(PHOTOS / "00.png").convert("RGB").filter(ImageFilter.GaussianBlur(3)).save(folder / "soft.png")
    (folder / "00.TXT").write_text("in the grass")
    (folder / "lost.txt").write_text("nobody's")
    (folder / "00.npz").write_bytes(b"")
    words = train_words(tiny_base_file, tmp_path / "out", "--photos", folder, "--steps", "1", "--rank", "1")
    assert main([*words]) == 0
    said = capsys.readouterr().err
    assert "1 of 3 photos have captions" in said and "passed over: 00.npz" in said
    assert "warning: captions without a photo of their name: lost.txt" in said
    assert "warning: soft.png: Blurred" in said or "warning: soft.png: Nearly the same" in said
    (file,) = (tmp_path / "out" / "loras").glob("*.safetensors")
    assert file.name.startswith("プードル") and len(file.name.encode()) <= 100 + len("_00001.safetensors")


def test_photos_that_keep_their_shapes_train_with_class_images_of_their_sizes(
    tiny_base_file: Path, tmp_path: Path, command: Command
) -> None:
    folder, output = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    for number, box in enumerate(((0, 0, 128, 96), (0, 0, 96, 128), (0, 16, 128, 112))):
        Image.open(PHOTOS / f"0{number}.png").convert("RGB").crop(box).save(folder / f"{number}.png")
    words = train_words(tiny_base_file, output, "--photos", folder, "--steps", 3, "--rank", 1, "--batch-size", 2)
    words = [*words, "--width", "128"]
    result = command(*words, "--buckets", "--priors", 3)
    assert result["sizes"] == [[144, 112, 2], [112, 144, 1]] and result["priors"] == 3
    drawn = [Image.open(file).size for file in sorted((output / "dreambooth" / "priors").rglob("*.png"))]
    assert sorted(drawn) == [(112, 144), (144, 112), (144, 112)]
    assert result["loss"] > 0 and result["prior_loss"] > 0
    assert command(*words, "--buckets", "--priors", 3)["found"]
    assert not command(*words, "--priors", 3)["found"]

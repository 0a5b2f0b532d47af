"""Folders as other trainers document them, read as they are: kohya, OneTrainer, ai-toolkit and diffusers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreambooth_nodes.trainer.prompts import PromptTemplates
from dreambooth_nodes.trainer.subject.buckets import TrainingSize
from dreambooth_nodes.trainer.subject.own_class_images import own_class_images
from dreambooth_nodes.trainer.subject.photos import Photo, read_folder
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.subject.subject_folders import subject_folders

SIDE = 64
Made = Callable[[Path], Path]
"""A function that makes a tool's folder inside another, and returns what its user would name."""


def put(file: Path, alpha: bool = False, width: int = 90) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.effect_noise((width, 80), 60).convert("RGBA" if alpha else "RGB")
    if alpha:
        picture.putalpha(Image.fromarray(np.tile(np.arange(width) * 255 // width, (80, 1)).astype(np.uint8)))
    picture.save(file)


def kohya(root: Path) -> Path:
    """sd-scripts, docs/train_network: `img/REPEATS_TOKENS CLASS`, captions in .caption or .txt; caches beside."""
    for name, caption in (("1.png", "1.caption"), ("2.jpg", "2.txt")):
        put(root / "img" / "20_sks dog" / name)
        (root / "img" / "20_sks dog" / caption).write_text(f"of {name}")
    (root / "img" / "20_sks dog" / "1_0090x0080_sd.npz").write_bytes(b"cache")
    put(root / "reg" / "1_dog" / "a.png")
    for other in ("log", "model"):
        (root / other).mkdir()
    return root / "img"


def one_trainer(root: Path) -> Path:
    """OneTrainer, wiki on concepts: a text beside each picture, `NAME-masklabel.png` as its mask."""
    put(root / "dog" / "1.jpg"), put(root / "dog" / "2.webp")
    for name in ("1", "2"):
        (root / "dog" / f"{name}.txt").write_text(f"of {name}")
    mask = np.zeros((80, 90), np.uint8)
    mask[:, :45] = 255
    Image.fromarray(mask).save(root / "dog" / "1-masklabel.png")
    put(root / "dog" / "2-condlabel.png")
    return root / "dog"


def ai_toolkit(root: Path) -> Path:
    """ai-toolkit, README: pictures and .txt of their names, in which [trigger] stands for the trigger; its caches."""
    put(root / "dog" / "1.jpg"), put(root / "dog" / "2.png", alpha=True)
    (root / "dog" / "1.txt").write_text("[trigger] on grass")
    (root / "dog" / "2.txt").write_text("a [trigger] dog at night")
    (root / "dog" / ".aitk_size.json").write_text("{}")
    (root / "dog" / "_latent_cache").mkdir()
    (root / "dog" / "_latent_cache" / "1_ab12.safetensors").write_bytes(b"cache")
    return root / "dog"


def diffusers(root: Path) -> Path:
    """diffusers, "Create a dataset for training": an image folder with metadata.jsonl, in its split `train`."""
    rows = [{"file_name": f"000{n}.png", "text": f"of {n}"} for n in (1, 2)]
    for row in rows:
        put(root / "dog" / "train" / str(row["file_name"]))
    (root / "dog" / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root / "dog"


def read(folder: Path) -> Subject:
    folders = subject_folders(folder, "dog")
    photos = [read_folder(one.folder, SIDE, SIDE) for one in folders]
    return Subject.of_folders(folders, photos, TrainingSize(SIDE, SIDE))


def prompts(photos: tuple[Photo, ...]) -> list[str]:
    return [PromptTemplates().instance_prompt("sks", "dog", photo.caption) for photo in photos]


@pytest.mark.parametrize(
    ("made", "captions"),
    [
        (kohya, ["of 1.png", "of 2.jpg"]),
        (one_trainer, ["of 1", "of 2"]),
        (ai_toolkit, ["[trigger] on grass", "a [trigger] dog at night"]),
        (diffusers, ["of 1", "of 2"]),
    ],
)
def test_photos_and_captions_are_those_of_the_tool(made: Made, captions: list[str], tmp_path: Path) -> None:
    subject = read(made(tmp_path))
    assert [photo.caption for photo in subject.photos] == captions
    assert subject.class_noun == "dog" and not subject.others


def test_kohyas_folder_names_the_subject_and_its_regularisation_images(tmp_path: Path) -> None:
    subject = read(kohya(tmp_path))
    assert (subject.identifier, subject.class_noun, subject.repeats) == ("sks", "dog", 1)
    (own,) = own_class_images(tmp_path / "reg", subject.sizes_by_class)
    assert own.class_noun == "dog" and len(own.photos) == 1


@pytest.mark.parametrize("made", [one_trainer, ai_toolkit])
def test_masks_are_read_from_beside_the_photo_or_its_transparency(made: Made, tmp_path: Path) -> None:
    first, second = read(made(tmp_path)).photos
    masked, plain = (first, second) if made is one_trainer else (second, first)
    assert plain.mask is None and masked.mask is not None
    left, right = float(masked.mask[:, :10].mean()), float(masked.mask[:, -10:].mean())
    assert (left > right) is (made is one_trainer)


def test_ai_toolkits_placeholder_is_the_trigger_wherever_the_class_stands(tmp_path: Path) -> None:
    assert prompts(read(ai_toolkit(tmp_path)).photos) == ["sks dog on grass", "a sks dog at night"]

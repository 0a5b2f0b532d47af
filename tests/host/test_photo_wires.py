"""Photos, masks and captions that a graph makes, and folders of several subjects, in the real host."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, NodeError
from dreambooth_nodes.demo.workflow import Prompt, change, find
from dreambooth_nodes.tests.host.graphs import SIDE, node, training
from dreambooth_nodes.trainer.subject.buckets import TrainingSize
from dreambooth_nodes.trainer.subject.photo_edits import PhotoEdits, edited
from dreambooth_nodes.trainer.subject.photos import photos_from_tensors, read_photos
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.subject.subject_folders import subject_folders

TEXTS = ("on the beach", "in a forest", "at night")
SEED = 71


@pytest.fixture(scope="module")
def folder(comfyui: ComfyUI) -> Path:
    """Three photos, each with a text beside it."""
    folder = comfyui.base_directory / "input" / "wired"
    folder.mkdir()
    for number, text in enumerate(TEXTS):
        shutil.copyfile(example.SUBJECTS / "spotted_dog" / f"0{number}.png", folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(text)
    return folder


def wired(comfyui: ComfyUI, folder: Path) -> Prompt:
    """Stock nodes in the place of a captioner and a segmenter: a text before each photo's own, and its red channel."""
    prompt = change(training(comfyui, seed=SEED), example.PHOTOS, folder="(use images)", class_noun="dog")
    prompt["files"] = node("LoadImageTextDataSetFromFolder", folder=folder.name)
    prompt["captioner"] = node(
        "StringConcatenate", string_a="photo of [V] {class}", string_b=["files", 1], delimiter=" "
    )
    prompt["segmenter"] = node("ImageToMask", image=["files", 0], channel="red")
    wires = {"images": ["files", 0], "masks": ["segmenter", 0], "captions": ["captioner", 0]}
    prompt[find(prompt, example.PHOTOS)]["inputs"] |= wires
    return prompt


def records(comfyui: ComfyUI) -> dict[str, dict[str, Any]]:
    return {file.parent.name: json.loads(file.read_text()) for file in comfyui.output_directory.rglob("run.json")}


def test_captions_and_masks_of_the_graph_are_trained_on(comfyui: ComfyUI, folder: Path) -> None:
    before = records(comfyui)
    comfyui.run(wired(comfyui, folder))
    (run,) = (record for key, record in records(comfyui).items() if key not in before)
    pictures = [np.asarray(Image.open(folder / f"{number}.png").convert("RGB")) for number in range(3)]
    images = [torch.from_numpy(picture.astype(np.float32) / 255) for picture in pictures]
    captions = [f"photo of [V] {{class}} {text}" for text in TEXTS]
    photos = photos_from_tensors(images, [image[..., 0] for image in images], SIDE, SIDE, captions=captions)
    assert run["asked"]["subject"] == Subject(photos, "dog", SIDE, SIDE).fingerprint
    assert run["status"] == "finished" and run["photos"] == 3


def _one_caption(prompt: Prompt) -> None:
    prompt[find(prompt, example.PHOTOS)]["inputs"]["captions"] = "one text for all"


def _empty_captions(prompt: Prompt) -> None:
    prompt["captioner"] = node("RegexReplace", string=["files", 1], regex_pattern=".*", replace="")


def _small_masks(prompt: Prompt) -> None:
    prompt["smaller"] = node(
        "ImageScale", image=["files", 0], upscale_method="bilinear", width=32, height=40, crop="disabled"
    )
    prompt["segmenter"]["inputs"]["image"] = ["smaller", 0]


def _folder_too(prompt: Prompt) -> None:
    prompt[find(prompt, example.PHOTOS)]["inputs"]["folder"] = "wired"


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (_one_caption, "1 captions for 3 images: give one for each"),
        (_empty_captions, "caption 1 is empty"),
        (_small_masks, "mask 1 is 32 x 40, its image"),
        (_folder_too, "images are connected, and folder is 'wired'"),
    ],
)
def test_wires_that_do_not_go_together_are_a_sentence(
    comfyui: ComfyUI, folder: Path, spoilt: Callable[[Prompt], None], said: str
) -> None:
    prompt, before = wired(comfyui, folder), set(comfyui.output_directory.rglob("*"))
    spoilt(prompt)
    with pytest.raises(NodeError, match=said):
        comfyui.run(prompt)
    assert set(comfyui.output_directory.rglob("*")) == before


def test_what_was_changed_on_the_panel_is_trained_on(comfyui: ComfyUI, folder: Path) -> None:
    """Edits go before what is wired, which is counted in the panel's order, excluded photos too."""
    mask = Image.new("L", (16, 16))
    mask.paste(255, (0, 0, 8, 16))
    stream = io.BytesIO()
    mask.save(stream, "PNG")
    edits = {
        "order": ["2.png"],
        "excluded": ["1.png"],
        "captions": {"0.png": "edited"},
        "masks": {"0.png": base64.b64encode(stream.getvalue()).decode()},
    }
    prompt = wired(comfyui, folder)
    inputs = prompt[find(prompt, example.PHOTOS)]["inputs"]
    inputs |= {"folder": folder.name, "edits": json.dumps({folder.name: edits, "another": {"order": ["x"]}})}
    del inputs["images"], inputs["masks"]
    before = records(comfyui)
    comfyui.run(prompt)
    (run,) = (record for key, record in records(comfyui).items() if key not in before)
    (one,) = edited(
        subject_folders(folder, "dog"),
        folder,
        PhotoEdits(("2.png",), frozenset({"1.png"}), {"0.png": "edited"}, {"0.png": stream.getvalue()}),
        [f"photo of [V] {{class}} {text}" for text in TEXTS],
    )
    photos = read_photos(one.files, TrainingSize(SIDE, SIDE))
    assert [photo.caption for photo in photos] == [f"photo of [V] {{class}} {TEXTS[0]}", "edited"]
    assert run["asked"]["subject"] == Subject(photos, "dog", SIDE, SIDE).fingerprint
    assert run["photos"] == 2


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ("{", "edits of photos are no JSON"),
        ('{"wired": {"excluded": ["0.png", "1.png", "2.png"]}}', "all 3 photos are excluded"),
        ('{"wired": {"masks": {"0.png": "eA=="}}}', "painted on '0.png' is no PNG"),
    ],
)
def test_edits_that_cannot_be_used_are_a_sentence(comfyui: ComfyUI, folder: Path, edits: str, said: str) -> None:
    prompt, before = training(comfyui, seed=SEED), set(comfyui.output_directory.rglob("*"))
    with pytest.raises(NodeError, match=said):
        comfyui.run(change(prompt, example.PHOTOS, folder=folder.name, edits=edits))
    assert set(comfyui.output_directory.rglob("*")) == before


def test_folders_of_several_subjects_become_one_file_with_the_users_own_class_images(comfyui: ComfyUI) -> None:
    root = comfyui.base_directory / "input"
    for name, subject in (("mixed/10_ohwx dog", "spotted_dog"), ("mixed/5_olt car", "racing_car")):
        shutil.copytree(example.SUBJECTS / subject, root / name)
    for name in ("own/1_dog", "own/1_car"):
        shutil.copytree(example.SUBJECTS / "teapot", root / name)
    before = records(comfyui)
    prompt = change(training(comfyui, seed=SEED), example.PHOTOS, folder="mixed")
    outputs = comfyui.run(change(prompt, example.PRIORS, own_images="own", count=0))
    (said,) = outputs[find(prompt, example.TRAIN)]["text"]
    assert said.endswith("say 'ohwx dog, olt car'")
    (run,) = (record for key, record in records(comfyui).items() if key not in before)
    assert run["photos"] == 10 and run["priors"] == 10

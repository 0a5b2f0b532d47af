"""Vary Backgrounds in the real host: the model redraws what is around the subject, once, and that is trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, NodeError
from dreambooth_nodes.demo.messages import Message
from dreambooth_nodes.demo.workflow import Prompt, change, find
from dreambooth_nodes.tests.host.graphs import SIDE, STEPS, node, only, pixels, steps_trained, training

SEED = 83


@pytest.fixture(scope="module")
def folder(comfyui: ComfyUI) -> Path:
    """Two photos whose right half is transparent, so that the left one is the subject's."""
    folder = comfyui.base_directory / "input" / "cut out"
    folder.mkdir()
    for number in range(2):
        photo = np.asarray(Image.open(example.SUBJECTS / "teapot" / f"0{number}.png").convert("RGBA")).copy()
        photo[:, photo.shape[1] // 2 :, 3] = 0
        Image.fromarray(photo).save(folder / f"{number}.png")
    return folder


def varied(comfyui: ComfyUI, folder: str, count: int) -> Prompt:
    """A training whose photos go through Vary Backgrounds, and a preview of its pictures."""
    prompt = change(training(comfyui, seed=SEED), example.PHOTOS, folder=folder)
    base, photos = find(prompt, "LoadToyBase"), find(prompt, example.PHOTOS)
    parts = {"model": [base, 0], "clip": [base, 1], "vae": [base, 2], "subject": [photos, 0]}
    prompt["around"] = node("VaryBackgrounds", **parts, count=count, seed=0, steps=2, places="on the beach\nat night")
    prompt["seen"] = node("PreviewImage", images=["around", 1])
    prompt[find(prompt, example.TRAIN)]["inputs"]["subject"] = ["around", 0]
    return prompt


def counted(comfyui: ComfyUI, prompt: Prompt) -> tuple[list[np.ndarray], dict[str, int]]:
    """The pictures of a run, and how many of them were new."""
    messages: list[Message] = []
    outputs = comfyui.run(prompt, messages.append)
    told = [one.data for one in messages if one.kind == "dreambooth.priors" and one.data["node"] == "around"]
    return [pixels(data) for data in comfyui.images(outputs, "seen")], told[-1]


def test_only_the_surroundings_are_drawn_and_only_once(comfyui: ComfyUI, folder: Path) -> None:
    pictures, first = counted(comfyui, only(varied(comfyui, folder.name, 1), "PreviewImage"))
    assert [(first[name]) for name in ("asked", "reused", "drawn")] == [2, 0, 2]
    half = SIDE // 2
    for number, picture in enumerate(pictures):
        photo = Image.open(folder / f"{number}.png").convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        apart = np.abs(picture - np.asarray(photo).astype(np.int16))
        assert apart[:, : half - 2].mean() < 2 and apart[:, half + 2 :].mean() > 10
    more, second = counted(comfyui, only(varied(comfyui, folder.name, 2), "PreviewImage"))
    assert [(second[name]) for name in ("asked", "reused", "drawn")] == [4, 2, 2] and len(more) == 4


@pytest.mark.slow
def test_they_are_trained_on_and_are_another_run(comfyui: ComfyUI, folder: Path) -> None:
    plain = change(training(comfyui, seed=SEED), example.PHOTOS, folder=folder.name)
    assert steps_trained(comfyui, plain) == STEPS
    assert steps_trained(comfyui, varied(comfyui, folder.name, 1)) == STEPS
    record = example.newest_run(comfyui)
    assert record["photos"] == 2 and "same background" not in record["photo_faults"]
    assert steps_trained(comfyui, varied(comfyui, folder.name, 1)) == 0


def test_photos_without_masks_are_refused_in_a_sentence(comfyui: ComfyUI, folder: Path) -> None:
    bare = folder.with_name("whole")
    bare.mkdir()
    shutil.copyfile(example.SUBJECTS / "teapot" / "00.png", bare / "00.png")
    with pytest.raises(NodeError, match=r"'00\.png' has no mask"):
        comfyui.run(varied(comfyui, bare.name, 1))

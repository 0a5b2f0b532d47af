"""What makes a run a new one, and what a cancelled one leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, Interrupted
from dreambooth_nodes.demo.messages import Message
from dreambooth_nodes.demo.workflow import change, find
from dreambooth_nodes.tests.host.graphs import STEPS, node, steps_trained, training


@pytest.fixture
def photos(comfyui: ComfyUI) -> Path:
    """A folder of photos in the host's input folder."""
    folder = comfyui.base_directory / "input" / "my photos"
    name = example.chosen_subject(example.example_prompt(comfyui)).name
    shutil.copytree(example.SUBJECTS / name, folder, dirs_exist_ok=True)
    return folder


def test_edited_photos_train_anew(comfyui: ComfyUI, photos: Path) -> None:
    prompt = change(training(comfyui, seed=3), example.PHOTOS, folder=photos.name)
    assert steps_trained(comfyui, prompt) == STEPS
    assert steps_trained(comfyui, prompt) == 0
    photo = min(photos.glob("*.png"))
    ImageOps.flip(Image.open(photo)).save(photo)
    assert steps_trained(comfyui, prompt) == STEPS


def test_a_lora_applied_upstream_makes_another_base_and_another_result(comfyui: ComfyUI) -> None:
    prompt = training(comfyui, seed=1)
    steps_trained(comfyui, prompt)
    plain = example.newest_run(comfyui)
    loader = find(prompt, "LoadToyBase")
    name = Path(plain["files"][-1]["file"]).name
    prompt["lora"] = node(
        "LoraLoader", model=[loader, 0], clip=[loader, 1], lora_name=name, strength_model=1.0, strength_clip=1.0
    )
    patched = {"model": ["lora", 0], "clip": ["lora", 1]}
    # The priors have to come from the same model as well, or the training refuses them.
    prompt = change(change(prompt, example.PRIORS, **patched), example.TRAIN, **patched)
    assert steps_trained(comfyui, prompt) == STEPS
    upstream = example.newest_run(comfyui)
    assert upstream["base"] != plain["base"]
    assert [point["instance"] for point in upstream["losses"]] != [point["instance"] for point in plain["losses"]]


def test_cancel_saves_what_was_trained_and_the_next_queue_runs(comfyui: ComfyUI) -> None:
    asked = 500

    def cancel_at_the_second_step(message: Message) -> None:
        if message.kind == "dreambooth.step" and message.data["step"] == 2:
            comfyui.interrupt()

    prompt = training(comfyui, steps=asked)
    with pytest.raises(Interrupted, match="DreamBoothTrain"):
        comfyui.run(prompt, cancel_at_the_second_step)
    left = example.newest_run(comfyui)
    assert left["status"] == "stopped"
    assert 2 <= len(left["losses"]) < asked
    assert (comfyui.output_directory / left["files"][-1]["file"]).is_file()
    assert steps_trained(comfyui, training(comfyui, seed=2)) == STEPS


def test_the_same_queue_again_goes_on_where_it_was_cancelled(comfyui: ComfyUI) -> None:
    cancelled_at, asked, messages = 4, 40, list[Message]()

    def cancel(message: Message) -> None:
        if message.kind == "dreambooth.step" and message.data["step"] == cancelled_at:
            comfyui.interrupt()

    prompt = training(comfyui, steps=asked, seed=5)
    with pytest.raises(Interrupted):
        comfyui.run(prompt, cancel)
    left = example.newest_run(comfyui)
    comfyui.run(prompt, messages.append)
    finished = example.newest_run(comfyui)
    (resumed,) = [message.data["step"] for message in messages if message.kind == "dreambooth.resumed"]
    steps = [message.data["step"] for message in messages if message.kind == "dreambooth.step"]
    assert resumed == len(left["losses"])
    assert steps == list(range(len(left["losses"]) + 1, asked + 1))
    assert (finished["key"], finished["status"], len(finished["losses"])) == (left["key"], "finished", asked)
    assert finished["losses"][:resumed] == left["losses"]

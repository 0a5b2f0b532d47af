"""Graphs for the tests, cut down to seconds, and what is read off their runs."""

from __future__ import annotations

import io
import shutil
from typing import Any

import numpy as np
from PIL import Image

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.messages import Message
from dreambooth_nodes.demo.workflow import Prompt, change, find

IDENTIFIER = "mdt"
PROMPT = f"a {IDENTIFIER} dog on the beach"
SIDE = 64
STEPS = 2


def only(prompt: Prompt, *names: str) -> Prompt:
    """The nodes called `names` and all that they need."""
    kept: Prompt = {}
    waiting = [find(prompt, name) for name in names]
    while waiting:
        number = waiting.pop()
        kept[number] = prompt[number]
        waiting += [value[0] for value in prompt[number]["inputs"].values() if isinstance(value, list)]
    return kept


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """One node of a prompt."""
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def small(comfyui: ComfyUI) -> Prompt:
    """The example graph with two priors, two training steps and two sampling steps."""
    prompt = change(example.example_prompt(comfyui), example.PHOTOS, resolution=SIDE)
    prompt = change(prompt, example.PRIORS, count=2, steps=2, batch_size=2)
    prompt = change(prompt, example.TRAIN, steps=STEPS, learning_rate=1e-3)
    prompt = change(prompt, "EmptyLatentImage", width=SIDE, height=SIDE, batch_size=1)
    for sampler in example.SAMPLERS:
        prompt = change(prompt, sampler, steps=2)
    return prompt


def training(comfyui: ComfyUI, options: dict[str, Any] | None = None, /, **inputs: Any) -> Prompt:
    """The small graph up to DreamBoothTrain, with fewer photos and without sample pictures; the identifier is given,
    not looked up.
    """
    prompt = change(small(comfyui), example.PHOTOS, folder=few_photos(comfyui))
    prompt = change(prompt, example.TRAIN, identifier=IDENTIFIER, **inputs)
    prompt["options"] = node("DreamBoothOptions", sample_count=0, **(options or {}))
    prompt[find(prompt, example.TRAIN)]["inputs"]["options"] = ["options", 0]
    return only(prompt, example.TRAIN)


def few_photos(comfyui: ComfyUI) -> str:
    """A folder among the inputs with three of the example's photos: a VAE of the real size takes long for each."""
    folder = comfyui.base_directory / "input" / "three photos"
    if not folder.is_dir():
        folder.mkdir(parents=True)
        subject = example.SUBJECTS / example.chosen_subject(example.example_prompt(comfyui)).name
        for photo in sorted(subject.glob("*.png"))[:3]:
            shutil.copyfile(photo, folder / photo.name)
    return folder.name


def steps_trained(comfyui: ComfyUI, prompt: Prompt) -> int:
    """Run a prompt and count the training steps that it reports."""
    messages: list[Message] = []
    comfyui.run(prompt, messages.append)
    return sum(message.kind == "dreambooth.step" for message in messages)


def drawn(
    comfyui: ComfyUI, prompt: Prompt, names: list[str], vae: list[Any], said: Any = PROMPT
) -> dict[str, np.ndarray]:
    """One picture of the same text and seed from each node that puts out MODEL and CLIP: int16 [H, W, 3]. said: the
    text, or where it comes from.
    """
    graph = {**prompt, "latent": node("EmptyLatentImage", width=SIDE, height=SIDE, batch_size=1)}
    for name in names:
        graph[f"{name}: text"] = node("CLIPTextEncode", clip=[name, 1], text=said)
        text = [f"{name}: text", 0]
        graph[f"{name}: latent"] = node(
            "KSampler", model=[name, 0], positive=text, negative=text, latent_image=["latent", 0],
            seed=3, steps=2, cfg=1.0, sampler_name="euler", scheduler="normal", denoise=1.0,
        )  # fmt: skip
        graph[f"{name}: image"] = node("VAEDecode", samples=[f"{name}: latent", 0], vae=vae)
        graph[f"{name}: shown"] = node("PreviewImage", images=[f"{name}: image", 0])
    outputs = comfyui.run(graph)
    return {name: pixels(comfyui.images(outputs, f"{name}: shown")[0]) for name in names}


def pixels(data: bytes) -> np.ndarray:
    """An image file as int16 [H, W, 3], so that differences do not wrap."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.int16)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference of any channel of any pixel, of 255."""
    return int(np.abs(one - other).max())

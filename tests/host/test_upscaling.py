"""Upscale Personalized in the real host: an upscaler of random weights is taught the subject, once, and enlarges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, NodeError
from dreambooth_nodes.demo.workflow import Prompt
from dreambooth_nodes.tests.host.graphs import node, pixels, steps_trained
from dreambooth_nodes.tests.toybase.upscaler_weights import random_weights
from dreambooth_nodes.toybase.diffusers_folder import write_upscaler_folder

STEPS, UPSCALER = 3, "tiny x4"


@pytest.fixture(scope="module")
def picture(comfyui: ComfyUI) -> str:
    """A photo of the example, 32 pixels a side."""
    small = Image.open(example.SUBJECTS / "teapot" / "00.png").convert("RGB").resize((32, 32), Image.Resampling.BICUBIC)
    small.save(Path(comfyui.base_directory) / "input" / "small.png")
    base_directory = Path(comfyui.base_directory)
    weights = random_weights(base_directory / "upscaler weights")
    write_upscaler_folder(base_directory / "models" / "diffusers" / UPSCALER, weights)
    return "small.png"


def graph(picture: str, steps: int, upscaler: str = UPSCALER) -> Prompt:
    """One picture, enlarged with what the example's photos teach."""
    photos = {"folder": "example: teapot", "class_noun": "teapot", "resolution": 128, "buckets": False}
    return {
        "photos": node("LoadInstanceImages", **photos),
        "small": node("LoadImage", image=picture),
        "large": node(
            "UpscalePersonalized",
            images=["small", 0],
            subject=["photos", 0],
            upscaler=upscaler,
            identifier="olt",
            steps=steps,
            noise_level=0,
            sampling_steps=2,
        ),
        "seen": node("PreviewImage", images=["large", 0]),
    }


def seen(comfyui: ComfyUI, prompt: Prompt) -> np.ndarray:
    (data,) = comfyui.images(comfyui.run(prompt), "seen")
    return pixels(data)


def test_a_picture_is_four_times_as_large_and_what_was_taught_shows(comfyui: ComfyUI, picture: str) -> None:
    plain = seen(comfyui, graph(picture, 0))
    assert plain.shape == (128, 128, 3)
    assert steps_trained(comfyui, graph(picture, STEPS)) == STEPS
    taught = seen(comfyui, graph(picture, STEPS))
    assert np.abs(taught - plain).max() > 2
    again = graph(picture, STEPS)
    again["large"]["inputs"]["cfg"] = 1.5
    assert steps_trained(comfyui, again) == 0


def test_an_upscaler_that_is_not_there_is_refused(comfyui: ComfyUI, picture: str) -> None:
    with pytest.raises(NodeError, match="upscaler"):
        comfyui.run(graph(picture, 0, "of another machine"))

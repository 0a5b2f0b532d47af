"""Class images that the real host draws: each depends on its recipe alone."""

from __future__ import annotations

import shutil

import numpy as np

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.workflow import change, find
from dreambooth_nodes.tests.host.graphs import apart, node, only, pixels, small

SEED = 77


def drawn(comfyui: ComfyUI, at_once: int) -> list[np.ndarray]:
    """Four class images, so many at once, without those on disk."""
    folder = comfyui.output_directory / "dreambooth" / "priors"
    before = set(folder.glob("*"))
    prompt = only(small(comfyui), example.PRIORS)
    prompt = change(prompt, example.PRIORS, count=4, steps=4, seed=SEED, batch_size=at_once)
    shown = node("PreviewImage", images=[find(prompt, example.PRIORS), 1])
    comfyui.run({**prompt, "shown": shown})
    (own,) = set(folder.glob("*")) - before
    found = [pixels(file.read_bytes()) for file in sorted(own.rglob("*.png"))]
    shutil.rmtree(own)
    return found


def test_a_class_image_does_not_depend_on_those_drawn_with_it(comfyui: ComfyUI) -> None:
    alone, together = drawn(comfyui, 1), drawn(comfyui, 4)
    assert len(alone) == len(together) == 4
    assert max(apart(*pair) for pair in zip(alone, together, strict=True)) <= 2 < apart(alone[0], alone[1])

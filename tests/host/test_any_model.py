"""A kind of model that no family of ours reads, in queued graphs of stock loaders: a Qwen-Image of one block."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from dreambooth_nodes.demo.comfyui import ComfyUI, NodeError
from dreambooth_nodes.tests.host.any_model import Kind, training
from dreambooth_nodes.tests.host.any_model_life import (
    check_a_run_that_is_cancelled_and_killed_ends_as_one_that_was_left_alone,
    check_priors_train_save_and_the_stock_loader,
)
from dreambooth_nodes.tests.host.graphs import node
from dreambooth_nodes.tests.host.tiny_models import QWEN_LAYERS, qwen_shapes, qwen_text_shapes, random_weights
from dreambooth_nodes.tests.host.tiny_vaes import wan_vae_shapes

QWEN = Kind("tiny_turbo.safetensors", "tiny_wan.safetensors", "qwen_image", QWEN_LAYERS)
"""Its name says that it is for few steps."""
TEXT_ENCODER = "tiny_qwen_text.safetensors"


def install(base_directory: Path) -> None:
    """The files of a tiny model, its VAE and its text encoder among the host's own."""
    for folder, name, shapes in (
        ("diffusion_models", QWEN.model, qwen_shapes()),
        ("vae", QWEN.vae, wan_vae_shapes()),
        ("text_encoders", TEXT_ENCODER, qwen_text_shapes()),
    ):
        (base_directory / "models" / folder).mkdir(parents=True, exist_ok=True)
        save_file(random_weights(shapes), base_directory / "models" / folder / name)


@pytest.fixture(scope="module")
def host(comfyui: ComfyUI) -> ComfyUI:
    """The host with the files of the tiny model among its own."""
    install(comfyui.base_directory)
    return comfyui


def test_priors_train_save_and_the_stock_loader(host: ComfyUI) -> None:
    check_priors_train_save_and_the_stock_loader(host, QWEN)


@pytest.mark.slow
def test_a_run_that_is_cancelled_and_killed_ends_as_one_that_was_left_alone(host: ComfyUI) -> None:
    check_a_run_that_is_cancelled_and_killed_ends_as_one_that_was_left_alone(host, QWEN)


@pytest.mark.parametrize(
    ("inputs", "options", "told"),
    [
        ({"method": "full"}, {}, "only 'lora'"),
        ({}, {"train_text_encoder": True}, "text encoder cannot be trained"),
        ({}, {"base_in_8_bits": True}, "in fewer bits with ComfyUI's own loader"),
    ],
)
def test_what_the_host_s_model_does_not_allow_is_refused(
    host: ComfyUI, inputs: dict[str, Any], options: dict[str, Any], told: str
) -> None:
    with pytest.raises(NodeError, match=told):
        host.run(training(QWEN, options=options, **inputs))


def test_a_rare_word_is_found_for_its_own_text_encoder_from_the_stock_loader(host: ComfyUI) -> None:
    graph = {
        "clip": node("CLIPLoader", clip_name=TEXT_ENCODER, type="qwen_image"),
        "word": node("PickRareToken", clip=["clip", 0], length=1, seed=0),
        "shown": node("PreviewAny", source=["word", 0]),
    }
    (word,) = host.run(graph)["shown"]["text"]
    assert re.fullmatch("[a-z]{2,3}", word)

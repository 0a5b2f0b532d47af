"""ApplyPersonalizedModel against the incoming model and against the host's own loaders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, Prompt
from dreambooth_nodes.tests.host.graphs import apart, drawn, node, training
from dreambooth_nodes.tests.host.trainer_picture import trainer_picture
from dreambooth_nodes.trainer.export.merge import merge_into
from dreambooth_nodes.trainer.files.adapter_kinds import is_adapter
from dreambooth_nodes.trainer.files.safetensors import read_shapes
from dreambooth_nodes.trainer.methods.lora.file import read_lora
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import layers_in

METHODS = ("lora", "full")
# Two steps of each have to change a picture by about as much.
LEARNING_RATES = {"lora": 2e-2, "full": 5e-4}

OPTIMIZERS = {"lora": "adamw", "full": "adafactor"}
"""The second keeps no gigabyte of moments."""


def apply(incoming: str, trained: str, strength: float) -> dict[str, Any]:
    """An ApplyPersonalizedModel node behind the node `incoming`, with one strength for both."""
    return node(
        "ApplyPersonalizedModel", model=[incoming, 0], clip=[incoming, 1], personalized_model=[trained, 0],
        strength_model=strength, strength_clip=strength,
    )  # fmt: skip


def stock_loader(method: str, file: str) -> dict[str, Any]:
    """The host's own node for a saved file."""
    if method == "full":
        return node("CheckpointLoaderSimple", ckpt_name=file)
    strengths = {"strength_model": 1.0, "strength_clip": 1.0}
    return node("LoraLoader", model=["base", 0], clip=["base", 1], lora_name=file, **strengths)


def as_the_trainer_has_it(base_file: Path, file: Path) -> Base:
    """A result put into its base without the host."""
    if not is_adapter(read_shapes(file)):
        return load_base(file)
    return merge_into(load_base(base_file), read_lora(file, layers_in(base_file)))


@pytest.fixture(scope="module")
def pictures(comfyui: ComfyUI) -> dict[str, np.ndarray]:
    """One prompt and seed from the base, both methods at several strengths, stock loaders, and both chained."""
    prompt: Prompt = {"base": node("CheckpointLoaderSimple", ckpt_name=example.BASE_NAME)}
    base_file = comfyui.base_directory / "models" / "checkpoints" / example.BASE_NAME
    ours = {}
    for method in METHODS:
        # The text encoder is trained as well, so that its weights are compared too.
        settings = {"method": method, "learning_rate": LEARNING_RATES[method], "name": method}
        comfyui.run(training(comfyui, {"train_text_encoder": True, "optimizer": OPTIMIZERS[method]}, **settings))
        comfyui.free()
        file = Path(example.newest_run(comfyui)["files"][-1]["file"])
        ours[f"{method} by the trainer"] = trainer_picture(
            as_the_trainer_has_it(base_file, comfyui.output_directory / file)
        )
        prompt[f"{method} trained"] = node("LoadPersonalizedModel", personalized_model=file.as_posix())
        prompt[f"{method} stock"] = stock_loader(method, file.name)
        for strength in (0.0, 0.5, 1.0):
            prompt[f"{method} {strength}"] = apply("base", f"{method} trained", strength)
    for first, second in (METHODS, METHODS[::-1]):
        prompt[f"{first} then {second}"] = apply(f"{first} 1.0", f"{second} trained", 1.0)
    # In turn, so that the host never holds all of them.
    for end in ("base", "stock", "0.0", "0.5", "1.0", "full", "lora"):
        ours |= drawn(comfyui, prompt, [name for name in prompt if name.endswith(end)], ["base", 2])
        comfyui.free()
    return ours


@pytest.mark.parametrize("method", METHODS)
def test_strength_0_is_the_incoming_picture_bit_for_bit(pictures: dict[str, np.ndarray], method: str) -> None:
    assert apart(pictures[f"{method} 0.0"], pictures["base"]) == 0


@pytest.mark.parametrize("method", METHODS)
def test_strengths_between_are_neither_end(pictures: dict[str, np.ndarray], method: str) -> None:
    ends = pictures["base"], pictures[f"{method} 1.0"]
    assert min(apart(pictures[f"{method} 0.5"], end) for end in ends) > 2
    assert apart(*ends) > 2


@pytest.mark.parametrize("method", METHODS)
def test_our_node_and_the_stock_loader_draw_the_trainers_picture(pictures: dict[str, np.ndarray], method: str) -> None:
    expected = pictures[f"{method} by the trainer"]
    assert apart(pictures[f"{method} 1.0"], expected) <= 2
    assert apart(pictures[f"{method} stock"], expected) <= 2


def test_two_chained_are_both_at_work_in_either_order(pictures: dict[str, np.ndarray]) -> None:
    both = pictures["lora then full"]
    assert apart(both, pictures["full then lora"]) <= 2
    assert min(apart(both, pictures[f"{method} 1.0"]) for method in METHODS) > 2

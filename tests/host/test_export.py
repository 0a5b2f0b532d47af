"""ExportPersonalizedModel in the real ComfyUI: what it writes is what the graph would have drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, NodeError, Prompt
from dreambooth_nodes.tests.host.graphs import apart, drawn, node, training

BASE = {"model": ["base", 0], "clip": ["base", 1], "vae": ["base", 2]}


@pytest.fixture(scope="module")
def trained(comfyui: ComfyUI) -> Prompt:
    """The base's loader, and a LoRA of two steps that were trained on it."""
    comfyui.run(training(comfyui, {}, method="lora", learning_rate=2e-2, name="exported"))
    file = Path(example.newest_run(comfyui)["files"][-1]["file"])
    return {
        "base": node("CheckpointLoaderSimple", ckpt_name=example.BASE_NAME),
        "trained": node("LoadPersonalizedModel", personalized_model=file.as_posix()),
    }


def export(layout: str, **connected: Any) -> dict[str, Any]:
    return node(
        "ExportPersonalizedModel", personalized_model=["trained", 0], layout=layout, rank=4, dtype="fp16",
        name="other", **connected,
    )  # fmt: skip


def test_a_lora_becomes_a_checkpoint_that_draws_the_same(comfyui: ComfyUI, trained: Prompt) -> None:
    comfyui.run({**trained, "export": export("checkpoint", **BASE)})
    assert (comfyui.output_directory / "checkpoints" / "other_00001.safetensors").is_file()
    given = {"model": ["base", 0], "clip": ["base", 1], "personalized_model": ["trained", 0]}
    prompt = {
        **trained,
        "applied": node("ApplyPersonalizedModel", **given, strength_model=1.0, strength_clip=1.0),
        "merged": node("CheckpointLoaderSimple", ckpt_name="other_00001.safetensors"),
    }
    pictures = drawn(comfyui, prompt, ["base", "applied", "merged"], ["base", 2])
    assert apart(pictures["applied"], pictures["merged"]) <= 2
    assert apart(pictures["applied"], pictures["base"]) > 2


def test_another_layout_needs_no_base(comfyui: ComfyUI, trained: Prompt) -> None:
    comfyui.run({**trained, "export": export("diffusers")})
    assert (comfyui.output_directory / "loras" / "other_00001.safetensors").is_file()


def test_half_a_model_is_refused(comfyui: ComfyUI, trained: Prompt) -> None:
    with pytest.raises(NodeError, match="connect all three"):
        comfyui.run({**trained, "export": export("checkpoint", model=["base", 0])})


def test_a_lora_is_resized_and_merged_back_with_its_rest(comfyui: ComfyUI, trained: Prompt) -> None:
    """The LoRA at one half and a copy of it that lost nothing at the other half are the LoRA."""
    small = node("ResizePersonalizedModel", personalized_model=["trained", 0], rank=0, dtype="fp32", name="small")
    halves = {"strength_first": 0.5, "strength_second": 0.5, "rank": 0, "dtype": "fp32", "name": "both"}
    given = {"model": ["base", 0], "clip": ["base", 1], "strength_model": 1.0, "strength_clip": 1.0}
    prompt = {
        **trained,
        "small": small,
        "both": node("MergePersonalizedModels", first=["trained", 0], second=["small", 0], **halves),
        "applied": node("ApplyPersonalizedModel", **given, personalized_model=["trained", 0]),
        "summed": node("ApplyPersonalizedModel", **given, personalized_model=["both", 0]),
        "errors": node("PreviewAny", source=["both", 1]),
    }
    pictures = drawn(comfyui, prompt, ["base", "applied", "summed"], ["base", 2])
    assert apart(pictures["applied"], pictures["summed"]) <= 2 < apart(pictures["applied"], pictures["base"])
    assert (comfyui.output_directory / "loras" / "both_00001.safetensors").is_file()
    both = prompt["both"]
    opposed = {**both, "inputs": {**both["inputs"], "strength_second": -0.5}}
    with pytest.raises(NodeError, match="zero in every layer"):
        comfyui.run({**prompt, "both": opposed})

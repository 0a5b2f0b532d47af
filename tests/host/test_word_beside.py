"""A LoRA with a word of its own in the real host: both together draw what the trainer draws, and neither does alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, NodeError
from dreambooth_nodes.tests.host.graphs import apart, drawn, node, training
from dreambooth_nodes.tests.host.trainer_picture import trainer_picture
from dreambooth_nodes.trainer.export.merge import merge_into
from dreambooth_nodes.trainer.methods.adapters import read_adapter
from dreambooth_nodes.trainer.methods.textual_inversion.file import read_embedding
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import layers_of
from dreambooth_nodes.trainer.model.word_embedding import add_word, widths

NAME = "both of them"


def test_a_lora_and_its_word_draw_the_trainers_picture(comfyui: ComfyUI) -> None:
    options = {"word_share": 0.5, "vectors": 2, "word_learning_rate": 0.1}
    comfyui.run(training(comfyui, options, method="lora", learning_rate=2e-2, name=NAME))
    run = example.newest_run(comfyui)
    said = run["trigger"]
    word, _, noun = said.partition(" ")
    assert word == "embedding:both_of_them_00001"
    file = Path(run["files"][-1]["file"])
    given: dict[str, Any] = {"model": ["base", 0], "clip": ["base", 1], "personalized_model": ["trained", 0]}
    strengths = {"strength_model": 1.0, "strength_clip": 1.0}
    prompt = {
        "base": node("CheckpointLoaderSimple", ckpt_name=example.BASE_NAME),
        "trained": node("LoadPersonalizedModel", personalized_model=file.as_posix()),
        "both": node("ApplyPersonalizedModel", **given, **strengths),
    }
    found = drawn(comfyui, prompt, ["base", "both"], ["base", 2], said)
    without_word = drawn(comfyui, prompt, ["both"], ["base", 2], noun)["both"]
    base = load_base(comfyui.base_directory / "models" / "checkpoints" / example.BASE_NAME)
    merge_into(base, read_adapter((comfyui.output_directory / file).resolve(), layers_of(base)))
    own = comfyui.base_directory / "models" / "embeddings" / "both_of_them_00001.safetensors"
    add_word(base, "olt", read_embedding(own, type(base), widths(base)))
    assert apart(found["both"], trainer_picture(base, f"olt {noun}")) <= 2
    # The word alone, and the LoRA alone.
    assert min(apart(found["both"], found["base"]), apart(found["both"], without_word)) > 2
    hidden = own.with_suffix(".hidden")
    own.rename(hidden)
    try:
        other = {**prompt, "both": node("ApplyPersonalizedModel", **given, **strengths | {"strength_clip": 0.5})}
        with pytest.raises(NodeError, match=r"'both_of_them_00001.safetensors' is not in the folder of embeddings"):
            drawn(comfyui, other, ["both"], ["base", 2], noun)
    finally:
        hidden.rename(own)

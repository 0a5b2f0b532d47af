"""A learned word in the real host: its trigger draws what the trainer draws, and all else is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, NodeError, Prompt
from dreambooth_nodes.tests.host.graphs import apart, drawn, node, training
from dreambooth_nodes.tests.host.trainer_picture import trainer_picture
from dreambooth_nodes.trainer.files.safetensors import read_metadata, read_tensors, write_tensors
from dreambooth_nodes.trainer.methods.textual_inversion.file import read_embedding
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.word_embedding import add_word, widths

NAME = "my subject (2)"


@pytest.fixture(scope="module")
def file(comfyui: ComfyUI) -> Path:
    """A word of two vectors, trained by the nodes with class priors connected."""
    settings = {"method": "textual_inversion", "learning_rate": 0.1, "name": NAME}
    comfyui.run(training(comfyui, {"vectors": 2}, **settings))
    run = example.newest_run(comfyui)
    assert run["trigger"] == "embedding:my_subject_2__00001"
    assert run["priors"] == 0
    return Path(run["files"][-1]["file"])


@pytest.fixture(scope="module")
def applied(file: Path) -> Prompt:
    """The base, and Apply Personalized Model behind it."""
    strengths = {"strength_model": 1.0, "strength_clip": 1.0}
    word: dict[str, Any] = {"model": ["base", 0], "clip": ["base", 1], "personalized_model": ["trained", 0]}
    return {
        "base": node("CheckpointLoaderSimple", ckpt_name=example.BASE_NAME),
        "trained": node("LoadPersonalizedModel", personalized_model=file.as_posix()),
        "word": node("ApplyPersonalizedModel", **word, **strengths),
    }


def test_the_trigger_draws_the_trainers_picture(comfyui: ComfyUI, applied: Prompt, file: Path) -> None:
    base = load_base(comfyui.base_directory / "models" / "checkpoints" / example.BASE_NAME)
    plain = trainer_picture(base, "olt")
    add_word(base, "olt", read_embedding(_file(comfyui, file), type(base), widths(base)))
    found = drawn(comfyui, applied, ["word"], ["base", 2], ["word", 2])["word"]
    assert apart(found, trainer_picture(base, "olt")) <= 2 < apart(found, plain)
    # The same picture without Apply Personalized Model, the file's name typed into a prompt; our own loader's VAE
    # decodes by the narrow one, equal within rounding.
    for base, rounding in ((applied["base"], 0), (node("LoadToyBase", checkpoint="toy base"), 1)):
        typed = drawn(comfyui, {"base": base}, ["base"], ["base", 2], "embedding:my_subject_2__00001")
        assert apart(typed["base"], found) <= rounding


def test_all_other_prompts_draw_as_before_bit_for_bit(comfyui: ComfyUI, applied: Prompt) -> None:
    pictures: dict[str, np.ndarray] = drawn(comfyui, applied, ["base", "word"], ["base", 2])
    assert apart(pictures["base"], pictures["word"]) == 0


def test_a_word_of_another_kind_of_model_is_refused(comfyui: ComfyUI, applied: Prompt, file: Path) -> None:
    place = _file(comfyui, file)
    kept, said = read_tensors(place), read_metadata(place)
    # At another strength, so that the host does not answer from its cache.
    word = applied["word"] | {"inputs": applied["word"]["inputs"] | {"strength_clip": 0.5}}
    try:
        write_tensors({"clip_h": torch.zeros(2, 1024)}, place, said)
        with pytest.raises(NodeError, match="another kind of model: it holds clip_h of 1024 numbers"):
            drawn(comfyui, {**applied, "word": word}, ["word"], ["base", 2], "a dog")
    finally:
        write_tensors(kept, place, said)


def _file(comfyui: ComfyUI, file: Path) -> Path:
    """A file by its path in a run's record, in the host's own folder of embeddings."""
    found = (comfyui.output_directory / file).resolve()
    assert found.parent == (comfyui.base_directory / "models" / "embeddings").resolve()
    return found

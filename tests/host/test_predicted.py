"""A predicted subject in the real host: its word and features draw what the trainer draws with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, NodeError, Prompt
from dreambooth_nodes.tests.host.graphs import apart, drawn, node
from dreambooth_nodes.tests.host.trainer_picture import trainer_picture
from dreambooth_nodes.toybase.subjects import FOLDER
from dreambooth_nodes.trainer.files.safetensors import read_metadata, read_tensors, write_tensors
from dreambooth_nodes.trainer.instantbooth.prediction import KnownPredictor, predict, shown
from dreambooth_nodes.trainer.instantbooth.predictor import Predictor
from dreambooth_nodes.trainer.instantbooth.prompts import noun_vectors
from dreambooth_nodes.trainer.instantbooth.shape import PredictorShape, layers_of
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.word_embedding import add_word, widths
from dreambooth_nodes.trainer.subject.photo_folder import sorted_folder
from dreambooth_nodes.trainer.subject.photos import read_photo

SUBJECT, NOUN, SIDE = "teapot", "teapot", 128
FILE, OTHER = "random.safetensors", "of_another_model.safetensors"


@pytest.fixture(scope="module")
def base(comfyui: ComfyUI) -> Base:
    return load_base(comfyui.base_directory / "models" / "checkpoints" / example.BASE_NAME)


@pytest.fixture(scope="module")
def file(comfyui: ComfyUI, base: Base) -> Path:
    """A predictor with random weights and open gates, where the node looks for predictors."""
    torch.manual_seed(4)
    predictor = Predictor(PredictorShape(base.family, layers_of(base.denoiser), widths(base), 3, 64))
    with torch.no_grad():
        for adapter in predictor.adapters.values():
            adapter.gate.fill_(0.5)
    folder = comfyui.output_directory / "dreambooth" / "predictors"
    path = predictor.write(folder / FILE)
    layers = dict(list(predictor.shape.layers.items())[1:])
    Predictor(PredictorShape(base.family, layers, widths(base), 3, 64)).write(folder / OTHER)
    return path


def graph(strength: float, predictor: str = FILE) -> Prompt:
    predicted = {"subject": ["photos", 0], "model": ["base", 0], "clip": ["base", 1]}
    applied = {"model": ["base", 0], "clip": ["base", 1], "personalized_model": ["predicted", 0]}
    return {
        "base": node("CheckpointLoaderSimple", ckpt_name=example.BASE_NAME),
        "photos": node("LoadInstanceImages", folder=f"example: {SUBJECT}", class_noun=NOUN, resolution=SIDE),
        "predicted": node("PredictPersonalizedModel", **predicted, predictor=predictor, name="my teapot"),
        "word": node("ApplyPersonalizedModel", **applied, strength_model=strength, strength_clip=1.0),
    }


def test_word_and_features_draw_the_trainers_picture(comfyui: ComfyUI, base: Base, file: Path) -> None:
    predictor = KnownPredictor.of_file(file).predictor
    photos = [read_photo(path, SIDE, SIDE) for path in sorted_folder(FOLDER / SUBJECT).photos]
    concept = predict(predictor, photos, noun_vectors(base, NOUN))
    add_word(base, "olt", {name: rows[0] for name, rows in concept.words.items()})
    alone = trainer_picture(base, "olt")
    with shown(base.denoiser, predictor, concept.patches[0], 1.0, 1):
        whole = trainer_picture(base, "olt")
    with_features, word = (
        drawn(comfyui, graph(strength), ["word"], ["base", 2], ["word", 2])["word"] for strength in (1.0, 0.0)
    )
    assert apart(with_features, whole) <= 2 < apart(whole, alone)
    assert apart(word, alone) <= 2


def test_another_prompt_without_features_draws_as_before_bit_for_bit(comfyui: ComfyUI, file: Path) -> None:
    pictures = drawn(comfyui, graph(0.0), ["base", "word"], ["base", 2], "a teapot")
    assert apart(pictures["base"], pictures["word"]) == 0


def test_a_predictor_of_another_model_is_refused(comfyui: ComfyUI, file: Path) -> None:
    with pytest.raises(NodeError, match="another kind of model"):
        drawn(comfyui, graph(0.5, OTHER), ["word"], ["base", 2], "a teapot")
    path = file.with_name(OTHER)
    write_tensors({"lora": torch.zeros(1)}, path, {})
    with pytest.raises(NodeError, match="is no predictor"):
        drawn(comfyui, graph(0.4, OTHER), ["word"], ["base", 2], "a teapot")


def test_a_predictor_that_was_replaced_predicts_anew(comfyui: ComfyUI, file: Path) -> None:
    """Features of the old one would be shown by adapters that were not trained for them."""
    kept, said = read_tensors(file), read_metadata(file)
    before = drawn(comfyui, graph(0.3), ["word"], ["base", 2], "a teapot")["word"]
    try:
        write_tensors({name: value * 1.5 for name, value in kept.items()}, file, said)
        assert apart(drawn(comfyui, graph(0.3), ["word"], ["base", 2], "a teapot")["word"], before) > 2
    finally:
        write_tensors(kept, file, said)

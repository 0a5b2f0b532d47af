"""The embedded base's predictor as it is stored: its size, and what int8 leaves of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dreambooth_nodes.toybase.denoiser import new_denoiser
from dreambooth_nodes.toybase.quantize import pack
from dreambooth_nodes.toybase.stored_predictor import FILE, is_stored, stored_predictor
from dreambooth_nodes.toybase.text_encoder import WIDTH
from dreambooth_nodes.trainer.instantbooth.predictor import Predictor
from dreambooth_nodes.trainer.instantbooth.shape import PredictorShape, layers_of

LARGEST = 4e6
"""Bytes that the repository has room for."""


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(3)
    return Predictor(PredictorShape("sd1", layers_of(new_denoiser()), {"text_encoder": WIDTH})).requires_grad_(False)


def test_it_is_small_and_keeps_its_answers(predictor: Predictor, tmp_path: Path) -> None:
    assert not is_stored(tmp_path)
    with pytest.raises(FileNotFoundError, match="train_predictor"):
        stored_predictor(tmp_path)
    trained = predictor.write(tmp_path / "trained.safetensors")
    path = tmp_path / FILE
    save_file(pack(load_file(trained)), path, {**predictor.shape.metadata(), "dreambooth.base": "ab"})
    assert is_stored(tmp_path) and path.stat().st_size < LARGEST
    found = stored_predictor(tmp_path)
    assert found.metadata["dreambooth.base"] == "ab" and found.predictor.shape == predictor.shape
    photos, noun = torch.rand(2, 1, 3, 128, 128) * 2 - 1, {"text_encoder": torch.randn(2, WIDTH)}
    whole, stored = (one.encoder(photos, noun) for one in (predictor, found.predictor))
    for name in noun:
        error = (stored.words[name] - whole.words[name]).norm() / whole.words[name].norm()
        assert error < 0.02
    assert (stored.patches - whole.patches).norm() / whole.patches.norm() < 0.05

"""Frozen text encoders whose layers are in the forward's dtype, as a GPU holds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.offload import offload_to_file, on_device
from dreambooth_nodes.trainer.model.precision import frozen_text_dtype
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.runs.request import Request

WORDS = 49408
PROMPTS = ["a sks dog", "a photo of the moon"]


@pytest.fixture(scope="module")
def halved(file: Path) -> Base:
    return load_base(file, text_dtype=torch.bfloat16)


def test_prompts_are_encoded_as_in_float32_but_for_rounding(model: Base, halved: Base) -> None:
    expected, found = model.encode_prompts(PROMPTS), halved.encode_prompts(PROMPTS)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.dtype == torch.float32
        assert 0 < (value - expected[name]).norm() / expected[name].norm() < 0.02


def test_the_layers_take_half_the_memory_also_after_they_were_offloaded(model: Base, halved: Base) -> None:
    before = halved.encode_prompts(PROMPTS)
    offload_to_file(halved, halved.text_encoders)
    with on_device(halved, halved.text_encoders):
        after = halved.encode_prompts(PROMPTS)
        assert {weight.dtype for weight in _linear_weights(halved)} == {torch.bfloat16}
        assert _bytes(halved) < 0.7 * _bytes(model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def _linear_weights(base: Base) -> list[Tensor]:
    layers = [layer for encoder in base.text_encoders.values() for layer in encoder.modules()]
    return [layer.weight for layer in layers if isinstance(layer, nn.Linear)]


def _bytes(base: Base) -> int:
    """Of the text encoders without their tables of words."""
    weights = [p for encoder in base.text_encoders.values() for p in encoder.parameters()]
    return sum(weight.nbytes for weight in weights if weight.shape[0] < WORDS)


def test_only_frozen_encoders_on_a_gpu_are_in_the_dtype_of_the_forward() -> None:
    lora = TrainOptions(method="lora")
    trained = replace(lora, train_text_encoder=True)
    assert frozen_text_dtype(lora, "cuda", torch.float16) == torch.float16
    assert frozen_text_dtype(lora, "cuda", None) == torch.float32
    assert frozen_text_dtype(lora, "cpu", torch.bfloat16) == torch.float32
    assert frozen_text_dtype(trained, "cuda", torch.float16) == torch.float32


def test_their_dtype_is_part_of_the_key(asked: Request) -> None:
    halved = replace(asked, priors=None, text_dtype=torch.bfloat16)
    assert halved.key("base") != replace(halved, text_dtype=torch.float32).key("base")

"""Another model is told from the same one in another precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.trainer.model.fingerprint import DENOISER, has_the_sampled_weights, weight_sample
from dreambooth_nodes.trainer.model.source import CheckpointFile


@pytest.fixture(scope="module")
def source(tiny_base_file: Path) -> CheckpointFile:
    return CheckpointFile(tiny_base_file)


def weight_of(source: CheckpointFile, name: str) -> Tensor:
    return source.tensors(DENOISER + name)[DENOISER + name].float()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_the_same_model_in_any_precision_is_the_same(source: CheckpointFile, dtype: torch.dtype) -> None:
    assert has_the_sampled_weights(weight_sample(source), lambda name: weight_of(source, name).to(dtype))


def test_a_finetuned_model_is_another(source: CheckpointFile) -> None:
    def finetuned(name: str) -> Tensor:
        weight = weight_of(source, name)
        noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name)))
        return weight + 0.03 * weight.std() * noise

    assert not has_the_sampled_weights(weight_sample(source), finetuned)


def test_a_model_without_these_weights_is_another(source: CheckpointFile) -> None:
    assert not has_the_sampled_weights(weight_sample(source), lambda name: None)

"""An update of low rank: the adapted model's answer, none at the start, gone with the weights it was made for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dreambooth_nodes.toybase.denoiser import new_denoiser
from dreambooth_nodes.toybase.low_rank_update import low_rank_denoiser, trained_part
from dreambooth_nodes.toybase.quantize import load_stored, load_whole, store, with_update

RANK = 2


def test_the_merged_weights_answer_as_the_adapted_denoiser_does() -> None:
    adapted = low_rank_denoiser(RANK).eval()
    part, merged = trained_part(adapted), new_denoiser().eval()
    noisy, timestep, context = torch.randn(2, 4, 16, 16), torch.tensor([10, 700]), torch.randn(2, 17, 768)
    whole = load_whole("denoiser")
    assert all(torch.equal(value, whole[name]) for name, value in with_update(whole, part.state_dict()).items())
    with torch.no_grad():
        for factor in part.parameters():
            factor.normal_(0, 0.02)
        merged.load_state_dict(with_update(whole, part.state_dict()))
        answers = [model(noisy, timestep, context).sample for model in (adapted, merged)]
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-4)
    assert {name for name, one in adapted.named_parameters() if one.requires_grad} == {
        f"{name}.default.weight" for name in part.names
    }


def test_a_stored_update_is_merged_and_goes_when_the_denoiser_is_new(tmp_path: Path) -> None:
    runs, folder = tmp_path / "runs", tmp_path / "weights"
    runs.mkdir()
    weights = {"a.weight": torch.randn(8, 4), "a.bias": torch.randn(8)}
    update = {"a.lora_A": torch.randn(1, 4), "a.lora_B": torch.randn(8, 1)}
    with pytest.raises(FileNotFoundError, match="holds nothing"):
        store(runs, folder)
    save_file(weights, runs / "denoiser.safetensors")
    store(runs, folder)
    (runs / "denoiser.safetensors").rename(tmp_path / "denoiser.safetensors")
    save_file(update, runs / "denoiser_update.safetensors")
    store(runs, folder)
    expected = weights["a.weight"] + update["a.lora_B"] @ update["a.lora_A"]
    torch.testing.assert_close(load_stored("denoiser", folder)["a.weight"], expected, rtol=0.05, atol=0.05)
    (runs / "denoiser_update.safetensors").unlink()
    (tmp_path / "denoiser.safetensors").rename(runs / "denoiser.safetensors")
    store(runs, folder)
    torch.testing.assert_close(load_stored("denoiser", folder)["a.weight"], weights["a.weight"], rtol=0.05, atol=0.05)

"""A model of another kind goes through cache, loss, LoRA, samples and export; only its own file knows what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreambooth_nodes.tests.trainer.families.flow import TIMES, TinyFlow, write_flow
from dreambooth_nodes.trainer import families
from dreambooth_nodes.trainer.base import Base
from dreambooth_nodes.trainer.checkpoint import CheckpointError, read_tensors
from dreambooth_nodes.trainer.denoiser import Half, dreambooth_loss, min_snr_weight
from dreambooth_nodes.trainer.export.diffusers_folder import write_diffusers_folder
from dreambooth_nodes.trainer.families import load_base
from dreambooth_nodes.trainer.options import MethodName, TrainOptions
from dreambooth_nodes.trainer.personalize import personalize
from dreambooth_nodes.trainer.request import Request
from dreambooth_nodes.trainer.sampling import SamplerSettings, draw
from dreambooth_nodes.trainer.store import Store
from dreambooth_nodes.trainer.subject import Subject


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    monkeypatch.setattr(families, "FAMILIES", [*families.FAMILIES, TinyFlow])
    return load_base(write_flow(tmp_path / "flow.safetensors"))


@torch.no_grad()
def test_the_loss_is_the_flows(flow: Base) -> None:
    generator = torch.Generator().manual_seed(0)
    x, noise = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
    told = flow.encode_prompts(["a dog"])
    t = torch.tensor([0.3])
    answer = flow.denoiser(
        0.7 * x + 0.3 * noise, told["text"], timestep=t * TIMES, encoder_attention_mask=told["mask"],
        added_cond_kwargs={},
    ).sample  # fmt: skip
    expected = ((answer - (noise - x)) ** 2).mean()
    half = Half(x, noise, t * TIMES)
    losses = dreambooth_loss(lambda z, t: flow.predict(z, t, told), flow.process, half, None, prior_weight=0)
    torch.testing.assert_close(losses.total, expected)


def test_min_snr_weighs_the_error_of_the_image_in_every_process(flow: Base, base: Base) -> None:
    """w·‖answer − target‖² = min(SNR, γ)·‖x̂ − x‖², by what x̂ is: z − t·u for a flow, (z − σ·ε)/α for ε."""
    x, noise, wrong = (torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(3))
    for process, t in ((flow.process, torch.tensor([300.0])), (base.process, torch.tensor([300]))):
        z, target = process.add_noise(x, noise, t), process.target(x, noise, t)
        if process is flow.process:
            guess = z - 0.3 * (target + wrong)
        else:
            alpha_squared = base.process.signal_to_noise(t) / (1 + base.process.signal_to_noise(t))
            guess = (z - (1 - alpha_squared).sqrt() * (target + wrong)) / alpha_squared.sqrt()
        weighed = min_snr_weight(process, t, 5.0) * (wrong**2).mean()
        snr = process.signal_to_noise(t).clamp(max=5.0)
        torch.testing.assert_close(weighed, snr * ((guess - x) ** 2).mean(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_it_is_trained_and_saved_like_any_other(flow: Base, method: MethodName, subject: Subject, store: Store) -> None:
    options = TrainOptions(
        method=method, steps=3, learning_rate=1e-2, train_text_encoder=True, sample_count=1, precision="fp32"
    )
    before = {name: weight.clone() for name, weight in flow.denoiser.state_dict().items()}
    request = Request(subject=subject, identifier="olt", options=options, name="flow")
    result, run = personalize(flow, request, store)
    assert len(run.losses()) == 3 and len(run.samples()) == 1
    saved = read_tensors(result.file)
    if method == "full":
        after = load_base(result.file).denoiser.state_dict()
        assert any(not torch.equal(after[name], before[name]) for name in before)
        assert saved.keys() == flow.source.shapes.keys()
    else:
        assert "lora_unet_transformer_blocks_0_attn2_to_q.lora_down.weight" in saved
        assert any("SelfAttention_q.lora_up" in name and saved[name].any() for name in saved)


def test_samples_are_drawn_by_the_flows_scheduler(flow: Base) -> None:
    settings = SamplerSettings(width=64, height=64, sampler="euler", steps=2, guidance=2.0)
    pictures = draw(flow, ["a dog", "a cat"], [0, 0], settings)
    assert pictures.shape == (2, 3, 64, 64) and pictures.isfinite().all()
    assert not torch.equal(pictures[0], pictures[1])


def test_a_folder_is_refused_where_no_pipeline_is_known(flow: Base, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="tiny-flow"):
        write_diffusers_folder(flow, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()

"""A model of another kind goes through cache, loss, LoRA, samples and export; only its own file knows what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.machine_check.dit import TIMES
from dreambooth_nodes.tests.command_line.conftest import train_words
from dreambooth_nodes.tests.interruption import main
from dreambooth_nodes.tests.trainer.model.families.flow import UNTOLD, TinyFlow, write_flow
from dreambooth_nodes.trainer.export.compatibility import check_applies
from dreambooth_nodes.trainer.export.conversion import Conversion
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.export.difference import difference
from dreambooth_nodes.trainer.export.diffusers_folder import write_diffusers_folder
from dreambooth_nodes.trainer.export.layouts import Layout
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, read_metadata, read_shapes, read_tensors
from dreambooth_nodes.trainer.methods.lora.start import starting_weights
from dreambooth_nodes.trainer.methods.start import kept_settings
from dreambooth_nodes.trainer.model import families
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import fingerprint_of, load_base, open_source, separate_files
from dreambooth_nodes.trainer.model.families.stable_diffusion_x4 import StableDiffusionX4
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.choices import MethodName
from dreambooth_nodes.trainer.runs.personalized import Personalized
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.sampling.sampler import SamplerSettings, draw
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.training.loss import Examples, dreambooth_loss, min_snr_weight


@pytest.fixture
def flow_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(families, "FAMILIES", [*families.FAMILIES, TinyFlow])
    return write_flow(tmp_path / "flow.safetensors")


@pytest.fixture
def flow(flow_file: Path) -> Base:
    return load_base(flow_file)


def trained(flow: Base, method: MethodName, subject: Subject, store: Store) -> Personalized:
    options = TrainOptions(
        method=method, steps=3, learning_rate=1e-2, train_text_encoder=True, sample_count=1, precision="fp32"
    )
    result, run = personalize(flow, Request(subject=subject, identifier="olt", options=options, name="flow"), store)
    assert len(run.losses()) == 3 and len(run.samples.all()) == 1
    return result


@torch.no_grad()
def test_the_loss_is_the_flows(flow: Base) -> None:
    generator = torch.Generator().manual_seed(0)
    x, noise = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
    told = flow.encode_prompts(["a dog"])
    t = torch.tensor([0.3])
    answer = flow.denoiser(
        0.7 * x + 0.3 * noise, told["text"], timestep=t * TIMES, encoder_attention_mask=told["mask"],
        added_cond_kwargs=UNTOLD,
    ).sample  # fmt: skip
    expected = ((answer - (noise - x)) ** 2).mean()
    half = Examples(x, noise, t * TIMES)
    losses = dreambooth_loss(lambda z, t: flow.predict(z, t, told), flow.noise_process, half, None, prior_weight=0)
    torch.testing.assert_close(losses.total, expected)


def test_min_snr_weighs_the_error_of_the_image_in_every_process(flow: Base, base: Base) -> None:
    """w·‖answer − target‖² = min(SNR, γ)·‖x̂ − x‖², by what x̂ is: z − t·u for a flow, (z − σ·ε)/α for ε."""
    x, noise, wrong = (torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(3))
    for process, t in ((flow.noise_process, torch.tensor([300.0])), (base.noise_process, torch.tensor([300]))):
        z, target = process.add_noise(x, noise, t), process.target(x, noise, t)
        if process is flow.noise_process:
            guess = z - 0.3 * (target + wrong)
        else:
            alpha_squared = base.noise_process.signal_to_noise(t) / (1 + base.noise_process.signal_to_noise(t))
            guess = (z - (1 - alpha_squared).sqrt() * (target + wrong)) / alpha_squared.sqrt()
        weighed = min_snr_weight(process, t, 5.0) * (wrong**2).mean()
        snr = process.signal_to_noise(t).clamp(max=5.0)
        torch.testing.assert_close(weighed, snr * ((guess - x) ** 2).mean(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_it_is_trained_and_saved_like_any_other(flow: Base, method: MethodName, subject: Subject, store: Store) -> None:
    before = {name: weight.clone() for name, weight in flow.denoiser.state_dict().items()}
    saved = read_tensors(trained(flow, method, subject, store).file)
    if method == "full":
        after = load_base(store.checkpoints / "flow_00001.safetensors").denoiser.state_dict()
        assert any(not torch.equal(after[name], before[name]) for name in before)
        assert saved.keys() == flow.source.shapes.keys()
    else:
        assert "lora_unet_transformer_blocks_0_attn2_to_q.lora_down.weight" in saved
        assert any("SelfAttention_q.lora_up" in name and saved[name].any() for name in saved)


def test_its_lora_goes_to_diffusers_keys_and_back_is_merged_and_gone_on_from(
    flow: Base, flow_file: Path, subject: Subject, store: Store, tmp_path: Path
) -> None:
    def converted(source: Path, layout: Layout, name: str) -> Path:
        return convert(Conversion(source=source, layout=layout, target=tmp_path / name, base=flow_file)).path

    result = trained(flow, "lora", subject, store)
    diffusers = converted(result.file, "diffusers", "a.safetensors")
    assert "transformer.transformer_blocks.0.attn1.to_q.lora_A.weight" in read_shapes(diffusers)
    assert read_metadata(diffusers)["modelspec.architecture"] == "tiny-flow/lora"
    back = read_tensors(converted(diffusers, "kohya", "b.safetensors"))
    ours = read_tensors(result.file)
    assert back.keys() == ours.keys() and all(torch.equal(back[key], ours[key]) for key in ours)
    merged = converted(result.file, "checkpoint", "c.safetensors")
    assert check_applies(merged, flow_file).fits and check_applies(result.file, flow_file).same_base
    options = TrainOptions(**kept_settings(result.file), train_text_encoder=True)
    assert starting_weights(result.file, load_base(flow_file), options).keys() == {"denoiser", "text_encoder"}


def test_a_full_result_is_a_difference_by_comfyuis_names_and_as_a_small_lora(
    flow: Base, flow_file: Path, subject: Subject, store: Store, tmp_path: Path
) -> None:
    result = trained(flow, "full", subject, store)
    changes = difference(result, store.kept_base(result.trained_from))
    assert "diffusion_model.transformer_blocks.0.attn1.to_q.weight" in changes["denoiser"]
    assert "t5.transformer.encoder.block.0.layer.0.SelfAttention.q.weight" in changes["text_encoder"]
    wanted = Conversion(
        source=result.file, layout="difference", target=tmp_path / "d.safetensors", base=flow_file, rank=2
    )
    error = convert(wanted).error
    assert error is not None and 0 < error.error < 1
    assert any("relative_attention_bias" in name for name in error.left_out_weights)


def test_separate_files_and_a_diffusers_folder_are_the_same_model(flow: Base, tmp_path: Path) -> None:
    folder, files = tmp_path / "folder", {}
    for name, module in flow.components().items():
        module.save_pretrained(folder / TinyFlow.diffusers[name])  # type: ignore[operator]
        files[name] = next((folder / TinyFlow.diffusers[name]).glob("*.safetensors"))
    flow.scheduler("euler").save_pretrained(folder / "scheduler")
    separate = separate_files(files["denoiser"], [files["text_encoder"]], files["vae"])
    for source in (separate, open_source(folder)):
        assert (load_base(source).family, fingerprint_of(source)) == ("tiny-flow", flow.fingerprint)
    with pytest.raises(CheckpointError, match="a T5"):
        separate_files(files["denoiser"], [files["vae"]], files["vae"])


def test_the_command_line_trains_it_by_an_identifier_that_is_said(
    flow_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rare tokens are looked up where a family knows them: this one's bytes mean nothing and are all common."""
    words = train_words(flow_file, tmp_path / "output", "--steps", 1, "--width", 64, "--json")
    assert main(words) == 0, capsys.readouterr().err
    assert json.loads(capsys.readouterr().out)["trigger"] == "olt dog"
    assert main([*words, "--identifier", "auto", "--seed", "1"]) == 1
    assert "say --identifier" in capsys.readouterr().err


def test_samples_are_drawn_by_the_flows_scheduler(flow: Base) -> None:
    settings = SamplerSettings(width=64, height=64, sampler="euler", steps=2, guidance=2.0)
    pictures = draw(flow, ["a dog", "a cat"], [0, 0], settings)
    assert pictures.shape == (2, 3, 64, 64) and pictures.isfinite().all()
    assert not torch.equal(pictures[0], pictures[1])


def test_a_folder_is_refused_where_no_pipeline_is_known(flow: Base, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="tiny-flow"):
        write_diffusers_folder(flow, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_a_host_that_samples_another_way_than_the_family_is_refused() -> None:
    """ComfyUI's nodes can make a flow of a Stable Diffusion, and what answers the image itself of anything."""
    discrete, flow = "ModelSamplingDiscrete", ("ModelSamplingDiscreteFlow", "CONST")
    kinds = {"epsilon": "EPS", "v_prediction": "V_PREDICTION"}
    for family in families.FAMILIES:
        known = ["v_prediction"] if family is StableDiffusionX4 else ["epsilon", "v_prediction"]
        assert [family.comfyui_prediction_type((discrete, kinds[name])) for name in known] == known
        for sampling in (flow, (discrete, "X0"), ("ModelSamplingContinuousEDM", "V_PREDICTION")):
            with pytest.raises(ValueError, match=f"{sampling[1]}.*only {' or '.join(known)}"):
                family.comfyui_prediction_type(sampling)
    assert TinyFlow.comfyui_prediction_type(flow) == "flow"
    with pytest.raises(ValueError, match="only flow"):
        TinyFlow.comfyui_prediction_type((discrete, "EPS"))

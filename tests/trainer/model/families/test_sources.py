"""The same model from one file, a diffusers folder and separate files is the same model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.model.families.small import checkpoint, components
from dreambooth_nodes.trainer.export.conversion import Conversion
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.files import lazy_tensors
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, read_shapes, write_tensors
from dreambooth_nodes.trainer.methods.registry import Full
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base, open_source, separate_files
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import DENOISER, VAE
from dreambooth_nodes.trainer.model.original_layout import original_tensors
from dreambooth_nodes.trainer.model.source import CheckpointFile
from dreambooth_nodes.trainer.options import TrainOptions

DIFFUSERS = {"denoiser": "unet", "vae": "vae", "text_encoder": "text_encoder", "text_encoder_2": "text_encoder_2"}


@pytest.fixture(scope="package")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """By diffusers' and transformers' own save_pretrained; the denoiser in several files."""
    with lent_folder(tmp_path_factory, f"{family}-folder") as path:
        for name, (module, _) in components(family).items():
            shards = {"max_shard_size": "4MB"} if name == "denoiser" else {}
            module.save_pretrained(path / DIFFUSERS[name], **shards)  # type: ignore[operator]
        (path / "scheduler").mkdir()
        said = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
        (path / "scheduler" / "scheduler_config.json").write_text(json.dumps(said))
        yield path


def test_a_diffusers_folder_is_the_same_model(model: Base, folder: Path) -> None:
    base = load_base(folder)
    assert (base.family, base.fingerprint) == (model.family, model.fingerprint)


def test_a_folders_scheduler_tells_the_noise_process(folder: Path) -> None:
    base = load_base(folder)
    snr = base.noise_process.signal_to_noise(torch.tensor([0, 999]))
    assert snr[1] < 1e-6 < snr[0]
    x, noise = torch.ones(1, 4, 8, 8), torch.zeros(1, 4, 8, 8)
    assert base.noise_process.target(x, noise, torch.tensor([999])).mean() == pytest.approx(-1, abs=1e-3)


def test_separate_files_in_either_layout_are_the_same_model(family: str, model: Base, tmp_path: Path) -> None:
    tensors = checkpoint(family)
    denoiser = {k.removeprefix(DENOISER): t for k, t in tensors.items() if k.startswith(DENOISER)}
    file = write_tensors(denoiser, tmp_path / "unet.safetensors", {})
    vae = {k.removeprefix(VAE): t for k, t in tensors.items() if k.startswith(VAE)}
    vae_file = write_tensors(vae, tmp_path / "vae.safetensors", {})
    texts = []
    for name, (module, _) in components(family).items():
        if name.startswith("text"):
            extra = {"logit_scale": torch.tensor(4.6)}
            texts.append(write_tensors({**module.state_dict(), **extra}, tmp_path / f"{name}.safetensors", {}))
    base = load_base(separate_files(file, texts, vae_file), "epsilon")
    assert (base.family, base.fingerprint) == (model.family, model.fingerprint)


@pytest.mark.parametrize(("asked", "mark"), [(None, "edm_mean"), ("v_prediction", "edm_vpred.sigma_max")])
def test_a_model_of_edms_noise_levels_is_refused(mark: str, asked: str | None, tmp_path: Path) -> None:
    tensors = {key: tensor.contiguous() for key, tensor in checkpoint("sdxl").items()}
    file = write_tensors({**tensors, mark: torch.ones(1)}, tmp_path / "cosxl.safetensors", {})
    with pytest.raises(CheckpointError, match=r"cosxl.*'edm'"):
        load_base(file, asked)
    # Its weights can be written all the same.
    half = convert(Conversion(source=file, layout="checkpoint", target=tmp_path / "half.safetensors")).path
    assert read_shapes(half) == read_shapes(file)


def test_a_folder_with_edms_scheduler_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    said = {"_class_name": "EDMEulerScheduler", "prediction_type": "epsilon"}
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match="'edm'"):
        load_base(tmp_path)


@pytest.mark.parametrize(
    ("name", "usual", "other"),
    [
        ("sd1", "cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."),
        ("sd2", "cond_stage_model.model.", "conditioner.embedders.0.model."),
    ],
)
def test_other_names_of_a_text_encoder_are_read(name: str, usual: str, other: str, tmp_path: Path) -> None:
    tensors = {key: tensor.contiguous() for key, tensor in checkpoint(name).items()}
    other_names = {key.replace(usual, other): tensor for key, tensor in tensors.items()}
    known = load_base(write_tensors(tensors, tmp_path / "known.safetensors", {}), "epsilon")
    renamed = load_base(write_tensors(other_names, tmp_path / "renamed.safetensors", {}), "epsilon")
    assert (renamed.family, renamed.fingerprint) == (name, known.fingerprint)


def test_what_is_not_trained_is_carried_through_exactly(family: str, file: Path) -> None:
    """Original → ours → original, key for key, with keys that no module owns; but no averaged copy of old weights."""
    base, full = load_base(file), Full()
    full.attach(base, TrainOptions(method="full", train_text_encoder=True))
    exported, before = original_tensors(base, full.trained(base), torch.float32), base.source.tensors()
    assert exported.keys() == before.keys() - {"model_ema.decay"}
    assert all(torch.equal(exported[key], before[key]) for key in exported)


def test_what_the_denoiser_answers_is_marked_in_a_whole_checkpoint(family: str, file: Path, folder: Path) -> None:
    """Hosts look for the marks alone, but for Stable Diffusion 2, whose weights they look at."""
    kind = type(load_base(file))
    marked = set() if family == "sd2" else {"v_pred"}
    assert kind.marker_tensors(CheckpointFile(file), "v_prediction").keys() == marked
    assert kind.marker_tensors(CheckpointFile(file), "epsilon") == {}
    assert kind.marker_tensors(open_source(folder), None).keys() == (marked and {"v_pred", "ztsnr"})


def test_a_lone_denoisers_marks_are_seen_and_a_strange_encoder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = checkpoint("sd1")
    denoiser = {k.removeprefix(DENOISER): t for k, t in tensors.items() if k.startswith(DENOISER)}
    file = write_tensors({**denoiser, "v_pred": torch.zeros(0)}, tmp_path / "unet.safetensors", {})
    vae = write_tensors({k: t for k, t in tensors.items() if k.startswith(VAE)}, tmp_path / "vae.safetensors", {})
    text, _ = components("sd1")["text_encoder"]
    encoder = write_tensors(text.state_dict(), tmp_path / "clip_l.safetensors", {})
    base, full = load_base(separate_files(file, [encoder], vae)), Full()
    assert base.prediction == "v_prediction"
    full.attach(base, TrainOptions(method="full", train_text_encoder=True))
    # Each tensor is read alone, the mark too.
    monkeypatch.setattr(lazy_tensors, "PIECE", 1)
    whole = write_tensors(original_tensors(base, full.trained(base)), tmp_path / "whole.safetensors", {})
    assert read_shapes(whole) == base.source.shapes and base.source.shapes["v_pred"] == (0,)
    assert load_base(whole).fingerprint == base.fingerprint
    strange = write_tensors({**text.state_dict(), "vision_model.x": torch.zeros(1)}, tmp_path / "clip.safetensors", {})
    with pytest.raises(CheckpointError, match=r"clip\.safetensors.*vision_model\.x"):
        load_base(separate_files(file, [strange], vae))


def test_a_folder_without_safetensors_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no unet/"):
        load_base(tmp_path)


def test_an_unknown_model_is_refused_with_what_was_found(tmp_path: Path) -> None:
    tensors = {f"{DENOISER}double_blocks.0.img_attn.qkv.weight": torch.zeros(3, 1)}
    file = write_tensors(tensors, tmp_path / "flux.safetensors", {})
    with pytest.raises(CheckpointError, match=r"flux\.safetensors.*sd1, sd2, sdxl.*model\.diffusion_model"):
        load_base(file)


def without(*prefixes: str) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in checkpoint("sd1").items() if not key.startswith(prefixes)}


def lone_denoiser() -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in checkpoint("sd1").items() if key.startswith(DENOISER)}


def shown_a_mask() -> dict[str, torch.Tensor]:
    first = f"{DENOISER}input_blocks.0.0.weight"
    tensors = checkpoint("sd1")
    return {**tensors, first: torch.zeros(tensors[first].shape[0], 9, 3, 3)}


def with_one_misshapen() -> dict[str, torch.Tensor]:
    tensors = checkpoint("sd1")
    key = next(key for key in tensors if key.startswith(DENOISER) and key.endswith("attn1.to_q.weight"))
    return {**tensors, key: torch.zeros(3, 3)}


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        (lambda: without(VAE), "no whole VAE"),
        (lambda: without(f"{VAE}encoder."), "no whole VAE"),
        (lone_denoiser, "denoiser alone needs its text encoders and its VAE"),
        (shown_a_mask, "shown 9 channels"),
        (with_one_misshapen, "another shape: .*attn1.to_q.weight"),
        (lambda: {"lora_unet_x.lora_up.weight": torch.zeros(1, 1)}, "It is a LoRA"),
    ],
    ids=["no VAE", "half a VAE", "a lone denoiser", "inpainting", "misshapen", "LoRA"],
)
def test_what_cannot_be_trained_is_refused_with_the_reason(
    tensors: Callable[[], dict[str, torch.Tensor]], complaint: str, tmp_path: Path
) -> None:
    file = write_tensors(tensors(), tmp_path / "odd.safetensors", {})
    with pytest.raises(CheckpointError, match=complaint):
        load_base(file)


def test_a_stable_diffusion_2_that_does_not_show_its_prediction_is_asked_for(tmp_path: Path) -> None:
    tensors = {k: t.contiguous() for k, t in checkpoint("sd2").items()}
    file = write_tensors(tensors, tmp_path / "sd2.safetensors", {})
    with pytest.raises(CheckpointError, match="epsilon or v_prediction"):
        load_base(file)
    assert load_base(file, "v_prediction").architecture == "stable-diffusion-v2-768-v"
    marked = write_tensors({**tensors, "v_pred": torch.zeros(0)}, tmp_path / "v.safetensors", {})
    assert load_base(marked).architecture == "stable-diffusion-v2-768-v"

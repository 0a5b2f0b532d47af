"""export and apply-check: the same answers as the functions, as text and as JSON, and an exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.command_line import apply_check, export
from dreambooth_nodes.tests.command_line.parsed import parsed
from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.export.random_lora import random_lora
from dreambooth_nodes.tests.trainer.model.families.small import components, write_checkpoint
from dreambooth_nodes.trainer.export.adapter_writer import write_lora
from dreambooth_nodes.trainer.export.conversion import ConversionError
from dreambooth_nodes.trainer.files.safetensors import read_metadata, read_tensors, write_tensors
from dreambooth_nodes.trainer.model.families import fingerprint_of
from dreambooth_nodes.trainer.model.families.latent_diffusion.keys import DENOISER, VAE
from dreambooth_nodes.trainer.model.layers import layers_in


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, "base") as folder:
        yield write_checkpoint("sd1", folder / "sd1.safetensors")


@pytest.fixture(scope="module")
def lora(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    layers, path = layers_in(base), tmp_path_factory.mktemp("lora") / "lora.safetensors"
    return write_lora(random_lora(layers), layers, "kohya", path, {}, torch.float16)


def run(name: str, *words: object) -> int:
    return parsed({"export": export, "apply-check": apply_check}[name], name, *words)


def test_export_writes_and_prints_the_path(
    base: Path, lora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", lora, "diffusers", tmp_path / "b", "--base", base) == 0
    assert Path(capsys.readouterr().out.strip()) == tmp_path / "b.safetensors"
    assert run("export", tmp_path / "b.safetensors", "kohya", tmp_path / "c", "--base", base, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"path": str(tmp_path / "c.safetensors"), "error": None, "same_base": None}
    assert run("apply-check", said["path"], base) == 0
    with pytest.raises(ConversionError, match="needs the base"):
        run("export", lora, "checkpoint", tmp_path / "d")


def test_a_base_in_separate_files_is_as_one_file(
    base: Path, lora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = read_tensors(base)
    denoiser, vae = (
        write_tensors({k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}, file, {})
        for prefix, file in ((DENOISER, tmp_path / "unet.safetensors"), (VAE, tmp_path / "vae.safetensors"))
    )
    text = components("sd1")["text_encoder"][0].state_dict()
    beside = ("--text-encoders", write_tensors(text, tmp_path / "clip.safetensors", {}), "--vae", vae)
    assert run("apply-check", lora, denoiser, *beside) == 0
    merged = tmp_path / "merged.safetensors"
    assert run("export", lora, "checkpoint", merged, "--base", denoiser, *beside, "--dtype", "fp32") == 0
    assert run("export", lora, "checkpoint", tmp_path / "same.safetensors", "--base", base, "--dtype", "fp32") == 0
    assert fingerprint_of(merged) == fingerprint_of(tmp_path / "same.safetensors")
    with pytest.raises(ValueError, match="go together"):
        run("export", lora, "diffusers", tmp_path / "x", *beside)


def test_apply_check_says_what_does_not_fit(
    base: Path, lora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("apply-check", lora, base, "--json") == 0
    assert json.loads(capsys.readouterr().out)["fits"] is True
    tensors = read_tensors(lora)
    tensors["lora_unet_nowhere.lora_up.weight"] = torch.ones(2, 2)
    torn = write_tensors(tensors, tmp_path / "torn.safetensors", {})
    assert run("apply-check", torn, base) == 1
    assert "no place: lora_unet_nowhere.lora_up.weight" in capsys.readouterr().out


def test_a_lora_of_another_base_is_converted_with_a_warning(
    base: Path, lora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for trained_from, same in ((fingerprint_of(base), True), ("0" * 64, False)):
        says = write_tensors(read_tensors(lora), tmp_path / "a.safetensors", {"dreambooth.trained_from": trained_from})
        assert run("export", says, "diffusers", tmp_path / f"{same}", "--base", base, "--json") == 0
        said = capsys.readouterr()
        assert json.loads(said.out)["same_base"] is same
        assert ("trained from another base" in said.err) is not same


def test_a_foreign_lora_gets_the_bases_architecture(base: Path, lora: Path, tmp_path: Path) -> None:
    foreign = write_tensors(read_tensors(lora), tmp_path / "a.safetensors", {})
    for layout in ("kohya", "diffusers"):
        assert run("export", foreign, layout, tmp_path / layout, "--base", base) == 0
        found = read_metadata(tmp_path / f"{layout}.safetensors")
        assert found["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert run("export", foreign, "checkpoint", tmp_path / "whole", "--base", base) == 0
    assert read_metadata(tmp_path / "whole.safetensors")["modelspec.architecture"] == "stable-diffusion-v1"

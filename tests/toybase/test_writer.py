"""The checkpoint has SD 1.5's names and shapes; the diffusers folder is the same model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from dreambooth_nodes.toybase.diffusers_folder import write_diffusers_folder
from dreambooth_nodes.toybase.quantize import load_stored
from dreambooth_nodes.toybase.writer import MARK, TEXT_PREFIX, is_outdated, write_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    folder = tmp_path_factory.mktemp("base")
    path = write_checkpoint(folder / "toybase.safetensors")
    assert [entry.name for entry in folder.iterdir()] == ["toybase.safetensors"]
    with safe_open(path, "pt") as file:
        assert file.metadata()["modelspec.title"] == "dreambooth-nodes toybase"
        assert not is_outdated(path)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path.unlink()
    return tensors


@pytest.mark.parametrize("mark", [{}, {MARK: "of another release"}])
def test_a_checkpoint_of_other_weights_or_cut_short_is_outdated(tmp_path: Path, mark: dict[str, str]) -> None:
    path = tmp_path / "toybase.safetensors"
    save_file({"x": torch.zeros(4)}, path, {"format": "pt"} | mark)
    assert is_outdated(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert is_outdated(path)


def test_text_encoder_has_the_keys_of_sd15(checkpoint: dict[str, Tensor]) -> None:
    text = {
        name.removeprefix(TEXT_PREFIX): value.shape for name, value in checkpoint.items() if name.startswith("cond")
    }
    assert len(text) == 197
    assert text["embeddings.position_ids"] == (1, 77)
    assert text["embeddings.token_embedding.weight"] == (49408, 768)
    assert text["encoder.layers.11.mlp.fc2.weight"] == (768, 3072)
    assert checkpoint[TEXT_PREFIX + "embeddings.position_ids"].dtype == torch.int64


def test_vae_has_the_keys_of_sd15(checkpoint: dict[str, Tensor]) -> None:
    vae = {
        name.removeprefix("first_stage_model."): v.shape for name, v in checkpoint.items() if name.startswith("first")
    }
    assert len(vae) == 248
    assert vae["encoder.conv_in.weight"] == (128, 3, 3, 3)
    assert vae["encoder.down.1.block.0.nin_shortcut.weight"] == (256, 128, 1, 1)
    assert vae["encoder.down.2.downsample.conv.weight"] == (512, 512, 3, 3)
    assert vae["decoder.mid.attn_1.q.weight"] == (512, 512, 1, 1)
    assert vae["decoder.up.0.block.2.conv2.weight"] == (128, 128, 3, 3)
    assert vae["decoder.up.3.upsample.conv.weight"] == (512, 512, 3, 3)
    assert vae["quant_conv.weight"] == (8, 8, 1, 1)


def test_denoiser_is_two_levels_of_sd15(checkpoint: dict[str, Tensor]) -> None:
    unet = {
        name.removeprefix("model.diffusion_model."): v for name, v in checkpoint.items() if name.startswith("model.")
    }
    assert len(unet) == len(load_stored("denoiser"))
    assert unet["input_blocks.0.0.weight"].shape == (320, 4, 3, 3)
    assert unet["input_blocks.3.1.proj_in.weight"].shape == (320, 320, 1, 1)
    assert unet["input_blocks.3.1.transformer_blocks.0.attn2.to_k.weight"].shape == (320, 768)
    assert unet["output_blocks.1.0.skip_connection.weight"].shape == (320, 640, 1, 1)
    assert len(checkpoint) == 197 + 248 + len(unet)
    assert all(value.isfinite().all() for value in checkpoint.values())


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="safetensors"):
        write_checkpoint(tmp_path / "base.ckpt")
    assert not list(tmp_path.iterdir())


def test_diffusers_loads_the_folder_and_draws(tmp_path: Path) -> None:
    folder = write_diffusers_folder(tmp_path / "base")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pictures = [
        pipeline("a red car", height=64, width=64, num_inference_steps=2, generator=torch.manual_seed(seed)).images[0]
        for seed in (0, 1)
    ]
    assert pictures[0].size == (64, 64)
    assert pictures[0].tobytes() != pictures[1].tobytes()
    with pytest.raises(FileExistsError):
        write_diffusers_folder(folder)

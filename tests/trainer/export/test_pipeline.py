"""Folders and LoRAs that diffusers draws from, as a user would: the same pictures as the trainer's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.export.random_lora import random_lora
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.trainer import randomness
from dreambooth_nodes.trainer.export.adapter_writer import write_lora
from dreambooth_nodes.trainer.export.conversion import Conversion
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.export.merge import merge_into
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import layers_in
from dreambooth_nodes.trainer.sampling.sampler import SamplerSettings, draw

WORDS = "a olt dog in the snow"
SEED = 3
SETTINGS = SamplerSettings(width=64, height=64, steps=3, guidance=5.0)
FAMILIES = {
    "sd1 epsilon": ("sd1", "epsilon"),
    "sd2 v_prediction": ("sd2", "v_prediction"),
    "sdxl epsilon": ("sdxl", "epsilon"),
}
PIPELINES = dict.fromkeys(("sd1", "sd2"), diffusers.StableDiffusionPipeline)
PIPELINES["sdxl"] = diffusers.StableDiffusionXLPipeline


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] if name.startswith("sd2") else []) for name in FAMILIES],
)
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Every kind of layer of SD 2 is one of SDXL's."""
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def file(kind: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, kind[0]) as folder:
        yield write_checkpoint(kind[0], folder / "base.safetensors")


@pytest.fixture(scope="module")
def folder(kind: tuple[str, str], file: Path) -> Path:
    target = file.parent / "folder"
    wanted = Conversion(source=file, layout="diffusers folder", target=target, dtype="fp32", prediction=kind[1])
    return convert(wanted).path


@pytest.fixture
def pipeline(kind: tuple[str, str], folder: Path) -> Any:
    pipe = PIPELINES[kind[0]].from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def picture(pipeline: Any) -> Tensor:
    """[3, H, W], with the folder's own scheduler and its noise drawn from the trainer's generator."""
    drawn = pipeline(
        WORDS, negative_prompt="", height=SETTINGS.height, width=SETTINGS.width, guidance_scale=SETTINGS.guidance,
        num_inference_steps=SETTINGS.steps, generator=randomness.generator(SEED, "sample", 0), output_type="pt",
    ).images[0]  # fmt: skip
    assert isinstance(drawn, Tensor)
    return drawn


def ours(base: Base) -> Tensor:
    return draw(base, [WORDS], [SEED], SETTINGS)[0]


def test_a_folder_draws_the_trainers_picture(kind: tuple[str, str], file: Path, pipeline: Any) -> None:
    expected = ours(load_base(file, kind[1]))
    assert expected.std() > 0.01
    torch.testing.assert_close(picture(pipeline), expected, rtol=0, atol=2e-3)
    assert pipeline.scheduler.config.prediction_type == kind[1]


@pytest.mark.parametrize("layout", ["kohya", "diffusers"])
def test_a_lora_that_diffusers_loads_draws_the_trainers_picture(
    layout: Any, kind: tuple[str, str], file: Path, pipeline: Any, tmp_path: Path
) -> None:
    layers = layers_in(file)
    lora = random_lora(layers, 1.5)
    written = write_lora(lora, layers, layout, tmp_path / "lora.safetensors", {}, torch.float32)
    pipeline.load_lora_weights(tmp_path, weight_name=written.name)
    expected = ours(merge_into(load_base(file, kind[1]), lora))
    torch.testing.assert_close(picture(pipeline), expected, rtol=0, atol=2e-3)
    assert (expected - ours(load_base(file, kind[1]))).abs().max() > 0.05


@pytest.mark.parametrize(
    ("name", "prediction", "side"),
    [
        ("sd1", "epsilon", 512),
        pytest.param("sd2", "epsilon", 512, marks=pytest.mark.slow),
        ("sd2", "v_prediction", 768),
    ],
)
def test_a_pipeline_from_the_folder_draws_at_the_size_that_the_family_was_trained_at(
    name: str, prediction: str, side: int, tmp_path: Path
) -> None:
    file = write_checkpoint(name, tmp_path / "base.safetensors")
    target = tmp_path / "folder"
    wanted = Conversion(source=file, layout="diffusers folder", target=target, dtype="fp32", prediction=prediction)
    folder = convert(wanted).path
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    # Without decoding, which at these sizes takes longer than all else.
    drawn = pipeline("a dog", num_inference_steps=1, output_type="latent").images
    assert drawn.shape == (1, 4, side // 8, side // 8) and drawn.isfinite().all()
    assert pipeline.vae_scale_factor == 8

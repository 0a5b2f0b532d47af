"""Kinds of models of this year in queued graphs of stock loaders of a newer ComfyUI: FLUX.2, Krea 2 and Z-Image; and
the templates of two of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.example import WORKFLOWS, example_subjects, install_base
from dreambooth_nodes.demo.workflow import Prompt, load_prompt
from dreambooth_nodes.tests.host.any_model import Kind
from dreambooth_nodes.tests.host.any_model_life import (
    check_a_run_that_is_cancelled_and_killed_ends_as_one_that_was_left_alone,
    check_priors_train_save_and_the_stock_loader,
)
from dreambooth_nodes.tests.host.conftest import TINY_SIZES
from dreambooth_nodes.tests.host.graphs import SIDE, node
from dreambooth_nodes.tests.host.in_memory.process import measured
from dreambooth_nodes.tests.host.newer_comfyui import newer_comfyui

pytestmark = pytest.mark.slow
FOLDER = "DREAMBOOTH_TEST_MODELS"
"""The variable that `in_memory.newer_files` reads."""


def of_blocks(blocks: list[str], layers: list[str]) -> list[str]:
    """The names of these layers of each of these blocks."""
    return [f"{block}.{layer}" for block in blocks for layer in layers]


FLUX2 = Kind(
    "tiny_flux2_turbo.safetensors", "taef2", "flux2",
    [*of_blocks(["double_blocks.0"], [f"{half}_{layer}" for half in ("img", "txt")
                                      for layer in ("attn.qkv", "attn.proj", "mlp.0", "mlp.2")]),
     "single_blocks.0.linear1", "single_blocks.0.linear2"],
    "EmptyFlux2LatentImage",
)  # fmt: skip
KREA2 = Kind(
    "tiny_krea2_turbo.safetensors", "tiny_wan.safetensors", "krea2",
    of_blocks(["blocks.0", "txtfusion.layerwise_blocks.0", "txtfusion.layerwise_blocks.1"],
              [*(f"attn.{layer}" for layer in ("wq", "wk", "wv", "wo", "gate")),
               *(f"mlp.{layer}" for layer in ("gate", "up", "down"))]),
)  # fmt: skip
Z_IMAGE = Kind(
    "tiny_z_image_turbo.safetensors", "taef1", "lumina2",
    of_blocks(["layers.0"], ["attention.qkv", "attention.out", *(f"feed_forward.w{number}" for number in (1, 2, 3))]),
)  # fmt: skip


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A newer ComfyUI with the files of tiny models."""
    base_directory = tmp_path_factory.mktemp("newer")
    (base_directory / "custom_nodes").mkdir()
    shutil.copy(TINY_SIZES, base_directory / "custom_nodes")
    with newer_comfyui(), pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(base_directory / "models"))
        assert measured("newer_files")["newer_files"]
        with ComfyUI(base_directory) as running:
            install_base(running)
            yield running


@pytest.mark.parametrize("kind", [FLUX2, KREA2, Z_IMAGE], ids=lambda kind: kind.architecture)
def test_priors_train_save_and_the_stock_loader(host: ComfyUI, kind: Kind) -> None:
    check_priors_train_save_and_the_stock_loader(host, kind)


@pytest.mark.parametrize("kind", [FLUX2, KREA2, Z_IMAGE], ids=lambda kind: kind.architecture)
def test_a_run_that_is_cancelled_and_killed_ends_as_one_that_was_left_alone(host: ComfyUI, kind: Kind) -> None:
    check_a_run_that_is_cancelled_and_killed_ends_as_one_that_was_left_alone(host, kind)


def with_tiny_files(prompt: Prompt, kind: Kind) -> Prompt:
    """A template's graph with the tiny model and VAE in its loaders' files, and the embedded base's text encoder."""
    subject = next(iter(example_subjects().values()))
    (clip,) = (number for number, one in prompt.items() if one["class_type"] == "CLIPLoader")
    photos = {"resolution": SIDE, "folder": subject.folder, "class_noun": subject.class_noun}
    small = {
        "UNETLoader": {"unet_name": kind.model}, "VAELoader": {"vae_name": kind.vae}, "KSampler": {"steps": 2},
        "Flux2Scheduler": {"steps": 2}, "LoadInstanceImages": photos,
        "DreamBoothTrain": {"steps": 4, "sample_every": 0},
    }  # fmt: skip
    for number, one in prompt.items():
        one["inputs"] |= small.get(one["class_type"], {})
        told = {name: [clip, 1] for name, value in one["inputs"].items() if value == [clip, 0]}
        prompt[number] = {**one, "inputs": {**one["inputs"], **told}}
    return {**prompt, clip: node("LoadToyBase")}


@pytest.mark.parametrize(
    ("name", "kind"), [("7 Z-Image", Z_IMAGE), ("8 FLUX.2 Klein 4B", FLUX2)], ids=["z_image", "klein"]
)
def test_a_model_s_own_template_runs_to_its_pictures(host: ComfyUI, name: str, kind: Kind) -> None:
    """Of its nodes none is missing; with tiny weights in its loaders it trains and draws both pictures."""
    known = host.object_info()
    prompt = load_prompt(WORKFLOWS / f"{name}.json", known)
    assert {one["class_type"] for one in prompt.values()} <= known.keys()
    outputs = host.run(with_tiny_files(prompt, kind))
    drawn = [number for number, one in prompt.items() if one["class_type"] == "SaveImage"]
    assert len(drawn) == 2 and all(len(outputs[number]["images"]) == 1 for number in drawn)
    (training,) = (number for number, one in prompt.items() if one["class_type"] == "DreamBoothTrain")
    (said,) = outputs[training]["text"]
    assert list(host.output_directory.rglob(said.partition(":")[0])), said

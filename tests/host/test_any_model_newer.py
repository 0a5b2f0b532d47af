"""Kinds of models of this year in queued graphs of stock loaders of a newer ComfyUI: FLUX.2, Krea 2 and Z-Image."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.example import install_base
from dreambooth_nodes.tests.host.any_model import Kind
from dreambooth_nodes.tests.host.any_model_life import (
    check_a_run_that_is_cancelled_and_killed_ends_as_one_that_was_left_alone,
    check_priors_train_save_and_the_stock_loader,
)
from dreambooth_nodes.tests.host.conftest import TINY_SIZES
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

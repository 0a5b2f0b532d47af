"""Models of the real sizes, random weights, in the real ComfyUI: trained, saved, loaded by the host's own loaders.

Up to 7 GB of disk and 20 GB of memory; every family in a host of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, Prompt
from dreambooth_nodes.demo.workflow import find
from dreambooth_nodes.tests.host.graphs import apart, drawn, node, training
from dreambooth_nodes.tests.trainer.families.full_size import UNETS, shapes_of
from dreambooth_nodes.trainer.checkpoint import write_tensors

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ARGUMENTS = ("--bf16-unet", "--bf16-text-enc", "--fp32-vae", "--cache-none")
COMPLAINTS = re.compile(r"lora key not loaded|missing|unexpected|NOT LOADED", re.IGNORECASE)


def random_weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """As large as keeps a signal's size through a layer; norms do nothing."""
    if len(shape) < 2:
        return torch.full(shape, float("norm" in name or "ln_" in name or ".0.weight" in name) * ("bias" not in name))
    return torch.randn(shape, dtype=torch.float16) / math.sqrt(math.prod(shape[1:]))


def write_random(family: str, path: Path) -> Path:
    torch.manual_seed(0)
    tensors = {name: random_weight(name, shape).half() for name, shape in shapes_of(family).items()}
    return write_tensors(tensors, path, {})


@pytest.fixture(scope="module", params=UNETS)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    with ComfyUI(tmp_path_factory.mktemp(request.param), arguments=ARGUMENTS) as running:
        write_random(request.param, running.base_directory / "models" / "checkpoints" / "real.safetensors")
        yield running


def on_the_real_one(prompt: Prompt) -> Prompt:
    """The same graph with the host's own loader in the place of Load Toy Base."""
    prompt[find(prompt, "LoadToyBase")] = node("CheckpointLoaderSimple", ckpt_name="real.safetensors")
    return prompt


def test_a_lora_is_trained_and_applied_as_the_hosts_own_loader_applies_it(host: ComfyUI) -> None:
    settings = {"method": "lora", "steps": 1, "learning_rate": 1e-2, "name": "real"}
    host.run(on_the_real_one(training(host, {"train_text_encoder": True, "prior_weight": 0.0}, **settings)))
    file = Path(example.newest_run(host)["files"][-1]["file"])
    base = {"base": node("CheckpointLoaderSimple", ckpt_name="real.safetensors")}
    ours = {
        "trained": node("LoadPersonalizedModel", personalized_model=file.as_posix()),
        "ours": node(
            "ApplyPersonalizedModel", model=["base", 0], clip=["base", 1], personalized_model=["trained", 0],
            strength_model=1.0, strength_clip=1.0,
        ),
    }  # fmt: skip
    stock = {
        "stock": node(
            "LoraLoader", model=["base", 0], clip=["base", 1], lora_name=file.name, strength_model=1.0,
            strength_clip=1.0,
        )
    }  # fmt: skip
    pictures = drawn(host, {**base, **ours, **stock}, ["base", "ours", "stock"], ["base", 2])
    assert apart(pictures["ours"], pictures["stock"]) == 0
    assert apart(pictures["ours"], pictures["base"]) > 2
    said = [line for line in host.log.read_text(errors="replace").splitlines() if COMPLAINTS.search(line)]
    assert said == []

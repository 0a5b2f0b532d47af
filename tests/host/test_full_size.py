"""Models of the real sizes, random weights, in the real ComfyUI: trained, saved, loaded by the host's own loaders.

Up to 14 GB of disk and 20 GB of memory; every family in a host of its own, and `-k sdxl` runs one alone.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.bench.full_size import UNETS, write_random
from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, Prompt
from dreambooth_nodes.demo.workflow import find
from dreambooth_nodes.tests.host.graphs import apart, drawn, node, training
from dreambooth_nodes.tests.host.made_up import MADE_UP

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ARGUMENTS = ("--bf16-unet", "--bf16-text-enc", "--fp32-vae", "--cache-none", "--verbose", "DEBUG")
BASE, MERGED = "real.safetensors", "merged_00001.safetensors"
COMPLAINTS = re.compile(r"lora key not loaded|missing|unexpected|left over keys|NOT LOADED", re.IGNORECASE)
NAME = re.compile(r"'([^']+)'")


@pytest.fixture(scope="module", params=UNETS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def host(family: str) -> Iterator[ComfyUI]:
    """Its folder, of which the checkpoints are most, is deleted at the end."""
    with ComfyUI(arguments=ARGUMENTS) as running:
        folder = running.base_directory / "models" / "checkpoints"
        size = write_random(family, folder / BASE).stat().st_size
        if shutil.disk_usage(folder).free < 1.1 * size:
            pytest.skip(f"the exported checkpoint needs {size / 2**30:.1f} GiB on the disk of {folder}")
        yield running


def on_the_real_one(prompt: Prompt) -> Prompt:
    """The same graph with the host's own loader in the place of Load Toy Base."""
    prompt[find(prompt, "LoadToyBase")] = checkpoint(BASE)
    return prompt


def checkpoint(name: str) -> dict[str, Any]:
    return node("CheckpointLoaderSimple", ckpt_name=name)


def trained_and_exported(host: ComfyUI) -> Path:
    """A LoRA of one step, and the checkpoint that the trainer makes of it and its base."""
    settings = {"method": "lora", "steps": 1, "learning_rate": 1e-2, "name": "real"}
    host.run(on_the_real_one(training(host, {"train_text_encoder": True, "prior_weight": 0.0}, **settings)))
    file = Path(example.newest_run(host)["files"][-1]["file"])
    whole = {part: ["base", output] for output, part in enumerate(("model", "clip", "vae"))}
    export = node(
        "ExportPersonalizedModel", personalized_model=["trained", 0], layout="checkpoint", rank=1, dtype="bf16",
        name="merged", **whole,
    )  # fmt: skip
    trained = node("LoadPersonalizedModel", personalized_model=file.as_posix())
    host.run({"base": checkpoint(BASE), "trained": trained, "export": export})
    return file


def complaints(host: ComfyUI, family: str) -> list[str]:
    """What the log says of keys, but for weights that no checkpoint of the family has."""
    said = [line for line in host.log.read_text(errors="replace").splitlines() if COMPLAINTS.search(line)]
    return [line for line in said if not MADE_UP[family].issuperset(NAME.findall(line) or [line])]


def test_what_was_trained_draws_one_picture_however_it_is_loaded(host: ComfyUI, family: str) -> None:
    """By our node, by the host's own LoRA loader, and merged by the trainer and loaded as a checkpoint."""
    file = trained_and_exported(host)
    both = {"model": ["base", 0], "clip": ["base", 1], "strength_model": 1.0, "strength_clip": 1.0}
    trained = node("LoadPersonalizedModel", personalized_model=file.as_posix())
    ours = {"trained": trained, "ours": node("ApplyPersonalizedModel", personalized_model=["trained", 0], **both)}
    graphs = {"base": {}, "ours": ours, "stock": {"stock": node("LoraLoader", lora_name=file.name, **both)}}
    pictures: dict[str, Any] = {}
    for name, graph in {**graphs, "merged": {"merged": checkpoint(MERGED)}}.items():
        # One prompt each, so that one model is in memory at a time.
        pictures |= drawn(host, {"base": checkpoint(BASE), **graph}, [name], ["base", 2])
        host.free()
    for name in ("ours", "stock"):
        assert apart(pictures[name], pictures["merged"]) <= 2
    assert apart(pictures["base"], pictures["merged"]) > 20
    assert complaints(host, family) == []

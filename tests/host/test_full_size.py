"""Models of the real sizes, random weights, in the real ComfyUI: trained, saved, loaded by the host's own loaders.

Up to 14 GB of disk and 20 GB of memory; every family in a host of its own, and `-k sdxl` runs one alone.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, Prompt
from dreambooth_nodes.demo.environment import ROOT
from dreambooth_nodes.demo.workflow import find
from dreambooth_nodes.machine_check.full_size import UNETS, write_random
from dreambooth_nodes.tests.host.graphs import apart, drawn, node, training
from dreambooth_nodes.tests.host.made_up import MADE_UP

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ARGUMENTS = ("--bf16-unet", "--bf16-text-enc", "--fp32-vae", "--cache-none", "--verbose", "DEBUG")
BASE, MERGED = "real.safetensors", "merged.safetensors"
COMPLAINTS = re.compile(r"lora key not loaded|missing|unexpected|left over keys|NOT LOADED", re.IGNORECASE)
NAME = re.compile(r"'([^']+)'")


@pytest.fixture(scope="module", params=UNETS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def host(family: str) -> Iterator[ComfyUI]:
    """Its folder, of which the checkpoints are most, is deleted at the end."""
    with ComfyUI(arguments=ARGUMENTS) as running:
        size = write_random(family, checkpoints(running) / BASE).stat().st_size
        if shutil.disk_usage(checkpoints(running)).free < 1.1 * size:
            pytest.skip(f"a second checkpoint needs {size / 2**30:.1f} GiB on the disk of {checkpoints(running)}")
        yield running


def checkpoints(host: ComfyUI) -> Path:
    return host.base_directory / "models" / "checkpoints"


def checkpoint(name: str) -> dict[str, Any]:
    return node("CheckpointLoaderSimple", ckpt_name=name)


def loaded(file: Path) -> dict[str, Any]:
    return node("LoadPersonalizedModel", personalized_model=file.as_posix())


def trained(host: ComfyUI) -> Path:
    """A LoRA of one step, seen from the output folder; the host's own loader is in the place of Load Toy Base."""
    settings = {"method": "lora", "preset": "balanced", "steps": 1, "learning_rate": 1e-2, "name": "real"}
    prompt = training(host, {"train_text_encoder": True, "prior_weight": 0.0}, **settings)
    prompt[find(prompt, "LoadToyBase")] = checkpoint(BASE)
    host.run(prompt)
    return Path(example.newest_run(host)["files"][-1]["file"])


def export(host: ComfyUI, file: Path) -> dict[str, Any]:
    """The checkpoint that the trainer makes of the LoRA and the base, by the command line; what it says."""
    base, merged = checkpoints(host) / BASE, checkpoints(host) / MERGED
    lora = host.base_directory / "output" / file
    words = [sys.executable, ROOT, "export", lora, "checkpoint", merged, "--base", base, "--dtype", "bf16", "--json"]
    return dict(json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout))


def complaints(host: ComfyUI, family: str) -> list[str]:
    """What the log says of keys, but for weights that no checkpoint of the family has."""
    said = [line for line in host.log.read_text(errors="replace").splitlines() if COMPLAINTS.search(line)]
    return [line for line in said if not MADE_UP[family].issuperset(NAME.findall(line) or [line])]


def test_what_was_trained_draws_one_picture_however_it_is_loaded(host: ComfyUI, family: str) -> None:
    """By our node, by the host's own LoRA loader, and merged by the trainer and loaded as a checkpoint."""
    file = trained(host)
    both = {"model": ["base", 0], "clip": ["base", 1], "strength_model": 1.0, "strength_clip": 1.0}
    apply = node("ApplyPersonalizedModel", personalized_model=["trained", 0], **both)
    graphs: dict[str, Prompt] = {
        "base": {},
        "ours": {"trained": loaded(file), "ours": apply},
        "stock": {"stock": node("LoraLoader", lora_name=file.name, **both)},
    }
    pictures: dict[str, Any] = {}
    # A process for each prompt: one model is in memory at a time, and a host's temporary files go with it.
    for name, graph in graphs.items():
        host.restart()
        pictures |= drawn(host, {"base": checkpoint(BASE), **graph}, [name], ["base", 2])
    host.restart()
    assert export(host, file)["same_base"]
    pictures |= drawn(host, {"merged": checkpoint(MERGED)}, ["merged"], ["merged", 2])
    for name in ("ours", "stock"):
        assert apart(pictures[name], pictures["merged"]) <= 2
    assert apart(pictures["base"], pictures["merged"]) > 20
    assert complaints(host, family) == []

"""What our files are called is what the real ComfyUI looks for, at the real models' sizes, in every family."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.demo.environment import comfyui_folder, comfyui_python
from dreambooth_nodes.machine_check.full_size import UNETS, shapes_of
from dreambooth_nodes.tests.host.made_up import MADE_UP
from dreambooth_nodes.trainer.model.layers import Layers, layers_in
from dreambooth_nodes.trainer.model.source import ShapesOnly

SCRIPT = Path(__file__).with_name("key_maps.py")


@pytest.fixture(scope="module")
def of_all_families() -> dict[str, Any]:
    """One process of the host answers for all."""
    begin = "import runpy, sys; sys.path.insert(0, '.'); sys.argv = ['', '--cpu']"
    run = f"{begin}; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    answer = subprocess.run(
        [str(comfyui_python() or sys.executable), "-c", run], cwd=comfyui_folder(),
        input=json.dumps({family: shapes_of(family) for family in UNETS}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-2000:]
    return dict(json.loads(answer.stdout[answer.stdout.index("{") :]))


@pytest.fixture(scope="module", params=UNETS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def host(family: str, of_all_families: dict[str, Any]) -> dict[str, Any]:
    return dict(of_all_families[family])


def test_a_checkpoint_gives_the_host_every_weight(family: str, host: dict[str, Any]) -> None:
    """But those that no checkpoint of the family has."""
    assert set(host["missing"]) <= MADE_UP[family]
    assert host["unused"] == []


def trained_layers(layers: Layers) -> list[tuple[str, str]]:
    """Every layer that the widest LoRA of the family has."""
    widest = {name: layers.family.lora_targets(name, "transformer_and_resnet") for name in layers.family.kohya}
    return [place for place in layers.places if re.fullmatch(rf".*(?:{widest[place[0]]})", place[1])]


def test_the_host_finds_every_layer_of_a_lora(family: str, host: dict[str, Any]) -> None:
    layers = layers_in(ShapesOnly(family, shapes_of(family)))
    trained = trained_layers(layers)
    assert {component for component, _ in trained} == set(layers.family.kohya)
    assert [name for place in trained if (name := layers.kohya_name(place)) not in host["lora"]] == []

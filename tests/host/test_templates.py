"""Every file of the template browser fits the nodes that the real ComfyUI has, and runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.environment import ROOT
from dreambooth_nodes.demo.example import toybase_workflow_files, workflow_files
from dreambooth_nodes.demo.workflow import WIDGET_TYPES, NodeInfo, Prompt, inputs_of, load_prompt
from dreambooth_nodes.tests.host.graphs import STEPS

FILES = workflow_files()
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))
OURS = "dreambooth-nodes"
MODEL_FILES = ("unet_name", "clip_name", "vae_name")
"""Inputs of the host's loaders."""
SMALL: dict[str, dict[str, Any]] = {
    "GenerateClassPriors": {"count": 2, "steps": 2, "batch_size": 2},
    "DreamBoothTrain": {"steps": STEPS},
    "EmptyLatentImage": {"batch_size": 1},
    "KSampler": {"steps": 2},
}


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def prompt(request: pytest.FixtureRequest, comfyui: ComfyUI) -> Prompt:
    return load_prompt(Path(request.param), comfyui.object_info())


def choices(kind: Any, options: dict[str, Any]) -> list[Any] | None:
    """What a combo offers, old style or new; None for another input."""
    return kind if isinstance(kind, list) else options.get("options")


def test_every_value_is_one_that_its_input_takes(comfyui: ComfyUI, prompt: Prompt) -> None:
    known = comfyui.object_info()
    for node in prompt.values():
        info, given = known[node["class_type"]], node["inputs"]
        assert set(info["input"].get("required", {})) <= set(given), node
        assert set(given) <= {name for name, _, _ in inputs_of(info)}, node
        for section in info["input"].values():
            for name, spec in section.items():
                value, options = given.get(name), spec[1] if len(spec) > 1 else {}
                if isinstance(value, list) or name not in given:
                    continue
                offered = choices(spec[0], options)
                # Files of models that the user has to have.
                assert offered is None or value in offered or name in MODEL_FILES, (node["class_type"], name, value)
                assert options.get("min", value) <= value <= options.get("max", value), (name, value)


def test_all_nodes_are_of_the_core_or_of_this_pack(comfyui: ComfyUI, prompt: Prompt) -> None:
    known = comfyui.object_info()
    modules = {known[node["class_type"]]["python_module"] for node in prompt.values()}
    assert {module for module in modules if module.startswith("custom_nodes.")} == {f"custom_nodes.{OURS}"}
    assert not any("api_nodes" in module for module in modules)


def slots(info: NodeInfo) -> list[str]:
    """The inputs of a node in the order in which the page puts them: sockets, then widgets."""
    return [name for name, _, _ in sorted(inputs_of(info), key=lambda found: is_widget(*found[1:]))]


def is_widget(kind: str, options: dict[str, Any]) -> bool:
    return kind in WIDGET_TYPES and not options.get("forceInput")


@pytest.mark.parametrize("file", [*FILES, *BLUEPRINTS], ids=lambda file: file.stem)
def test_every_node_has_the_inputs_of_this_release(comfyui: ComfyUI, file: Path) -> None:
    """Links inside a subgraph end at a slot's number: one input less than the host has, and they end at another."""
    known, graph = comfyui.object_info(), json.loads(file.read_text(encoding="utf-8"))
    for level in (graph, *graph.get("definitions", {}).get("subgraphs", [])):
        for node in (node for node in level["nodes"] if node["type"] in known):
            assert [one["name"] for one in node["inputs"]] == slots(known[node["type"]]), node["type"]


@pytest.mark.slow
@pytest.mark.parametrize("prompt", toybase_workflow_files(), indirect=True, ids=lambda file: file.stem)
def test_it_runs_to_its_pictures(comfyui: ComfyUI, prompt: Prompt) -> None:
    for node in prompt.values():
        node["inputs"] |= SMALL.get(node["class_type"], {})
    outputs = comfyui.run(prompt)
    for number, node in prompt.items():
        if node["class_type"] == "SaveImage":
            assert len(outputs[number]["images"]) == 1, node
        if node["class_type"] == "DreamBoothTrain":
            (said,) = outputs[number]["text"]
            assert list(comfyui.output_directory.rglob(said.partition(":")[0])), said

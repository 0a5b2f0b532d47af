"""The pack in a real ComfyUI: it loads, and shows the nodes that it promises."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from dreambooth_nodes.demo.comfyui import ComfyUI
from dreambooth_nodes.demo.environment import ROOT
from dreambooth_nodes.demo.example import toybase_workflow_files, workflow_files
from dreambooth_nodes.demo.host_process import PACK_FOLDER
from dreambooth_nodes.trainer.presets import DEFAULT, PRESETS

SUBGRAPHS = ROOT / "subgraphs"

# node_id: required inputs, optional inputs, outputs. Public: others may be added behind, none renamed or moved.
CONTRACT: dict[str, tuple[str, str, str]] = {
    "LoadInstanceImages": (
        "folder class_noun resolution",
        "images masks captions buckets close_ups edits",
        "SUBJECT IMAGE",
    ),
    "SuggestClassNoun": ("model clip vae subject", "nouns", "STRING STRING"),
    "PickRareToken": ("clip length seed", "model class_noun choice subject", "STRING STRING"),
    "GenerateClassPriors": (
        "model clip vae subject count seed",
        "class_noun width height steps cfg sampler_name batch_size",
        "CLASS_PRIORS IMAGE",
    ),
    "VaryBackgrounds": ("model clip vae subject count seed", "places steps cfg sampler_name", "SUBJECT IMAGE"),
    "DreamBoothTrain": (
        "model clip vae subject identifier method preset steps learning_rate name seed",
        "class_priors options sample_every memory score_every early_stop prior clip_vision draw_with",
        "PERSONALIZED_MODEL IMAGE LOSS_MAP",
    ),
    "ApplyPersonalizedModel": (
        "model clip personalized_model strength_model strength_clip",
        "",
        "MODEL CLIP STRING STRING",
    ),
    "DreamBoothOptions": ("", "", "DREAMBOOTH_OPTIONS"),
    "LoadPersonalizedModel": ("personalized_model", "", "PERSONALIZED_MODEL STRING"),
    "ExportPersonalizedModel": ("personalized_model layout rank dtype name", "model clip vae", "STRING"),
    "PredictPersonalizedModel": ("subject model clip predictor name", "", "PERSONALIZED_MODEL STRING"),
    "ResizePersonalizedModel": ("personalized_model rank dtype name", "", "PERSONALIZED_MODEL STRING"),
    "MergePersonalizedModels": (
        "first second strength_first strength_second rank dtype name",
        "",
        "PERSONALIZED_MODEL STRING",
    ),
    "UpscalePersonalized": (
        "images upscaler identifier steps noise_level",
        "subject options learning_rate sampling_steps cfg seed name",
        "IMAGE",
    ),
    "MeasureFidelity": ("images subject", "clip_vision prompt", "STRING IMAGE FLOAT FLOAT"),
    "LoadToyBase": ("", "checkpoint", "MODEL CLIP VAE"),
    "CheckThisMachine": ("models", "", "STRING STRING"),
}


@pytest.fixture(scope="module")
def object_info(comfyui: ComfyUI) -> dict[str, Any]:
    return comfyui.object_info()


def test_the_pack_loads_without_a_complaint(comfyui: ComfyUI) -> None:
    # Later lines are about prompts, and other tests queue bad ones.
    log = comfyui.log.read_text(errors="replace").partition("Starting server")[0]
    assert PACK_FOLDER in log
    for complaint in ("IMPORT FAILED", "Cannot import", "Error while calling comfy_entrypoint", "Traceback"):
        assert complaint not in log, log


@pytest.mark.parametrize("node_id", CONTRACT)
def test_inputs_and_outputs_are_the_public_ones(object_info: dict[str, Any], node_id: str) -> None:
    required, optional, outputs = (names.split() for names in CONTRACT[node_id])
    info = object_info[node_id]
    assert list(info["input"].get("required", {})) == required
    assert list(info["input"].get("optional", {}))[: len(optional)] == optional
    assert info["output"] == outputs


@pytest.mark.parametrize("node_id", CONTRACT)
def test_no_seed_is_randomized_after_a_run(object_info: dict[str, Any], node_id: str) -> None:
    """The frontend does so with an input named seed unless told not to, and every queue would train anew."""
    required = object_info[node_id]["input"].get("required", {})
    if "seed" in required:
        assert required["seed"][1]["control_after_generate"] is False


@pytest.mark.parametrize("node_id", CONTRACT)
def test_every_input_has_a_tooltip_and_every_number_says_its_range_or_unit(
    object_info: dict[str, Any], node_id: str
) -> None:
    for group in ("required", "optional"):
        inputs = object_info[node_id]["input"].get(group, {})
        for name, (kind, *options) in inputs.items():
            tooltip = options[0].get("tooltip", "") if options else ""
            assert len(tooltip) >= 10, f"{node_id}.{name} has no tooltip"
            if kind in ("INT", "FLOAT"):
                assert re.search(r"\d", tooltip), f"{node_id}.{name}: {tooltip!r} gives no number"


SEARCHED = ("dreambooth", "train", "lora", "finetune", "subject", "personalize")


@pytest.mark.parametrize("word", SEARCHED)
def test_the_search_finds_a_node_by(object_info: dict[str, Any], word: str) -> None:
    """By its aliases where the host has them, else by its name; the blueprint is found by all of them."""
    ours = {name: info for name, info in object_info.items() if name in CONTRACT}
    texts = {name: f"{name} {info['display_name']} {info.get('search_aliases')}".lower() for name, info in ours.items()}
    blueprint = next(SUBGRAPHS.glob("*.json")).stem.lower()
    assert any(word in text for text in texts.values()) or word in blueprint
    assert word in blueprint or word in ("train", "personalize")


def test_rare_inputs_are_folded_away(object_info: dict[str, Any]) -> None:
    for node_id, kept in (
        ("DreamBoothTrain", "steps"),
        ("GenerateClassPriors", "count"),
        ("DreamBoothOptions", "rank"),
    ):
        inputs = [*object_info[node_id]["input"].get("required", {}).items()]
        inputs += object_info[node_id]["input"].get("optional", {}).items()
        advanced = {name: spec[1].get("advanced", False) for name, spec in inputs if len(spec) > 1}
        assert any(advanced.values()) and not advanced[kept]


def test_a_preset_shows_its_numbers(object_info: dict[str, Any]) -> None:
    required = object_info["DreamBoothTrain"]["input"]["required"]
    shown = required["preset"][1]["numbers"]
    assert {name: {method: values["steps"] for method, values in one.items()} for name, one in shown.items()} == {
        name: {method: preset.steps(method) for method in shown[name]} for name, preset in PRESETS.items()
    }
    assert shown["object"]["full"]["by_photos"] == {"each": 160, "least": 480, "most": 2400}
    assert shown["fast"]["lora"]["by_photos"] is None
    assert required["steps"][1]["default"] == PRESETS[DEFAULT].steps("lora")


def test_the_blueprint_is_served(comfyui: ComfyUI) -> None:
    served = json.loads(comfyui.request("/global_subgraphs"))
    ours = [entry for entry in served.values() if entry["info"]["node_pack"] == f"custom_nodes.{PACK_FOLDER}"]
    assert [entry["name"] for entry in ours] == [file.stem for file in SUBGRAPHS.glob("*.json")]


def test_training_is_an_output_node(object_info: dict[str, Any]) -> None:
    assert object_info["DreamBoothTrain"]["output_node"] is True


@pytest.mark.parametrize("node_id", CONTRACT)
def test_every_node_has_a_help_page(comfyui: ComfyUI, node_id: str) -> None:
    assert comfyui.request(f"/extensions/{PACK_FOLDER}/docs/{node_id}.md").startswith(b"# ")


def test_the_template_browser_shows_every_example(comfyui: ComfyUI) -> None:
    names, drawn = ([file.stem for file in files()] for files in (workflow_files, toybase_workflow_files))
    assert sorted(json.loads(comfyui.request("/workflow_templates"))[PACK_FOLDER]) == names
    for name in names:
        served = f"/api/workflow_templates/{PACK_FOLDER}/{quote(name)}"
        assert json.loads(comfyui.request(f"{served}.json"))["version"] == 0.4
        if name in drawn:
            assert comfyui.request(f"{served}.jpg").startswith(b"\xff\xd8")

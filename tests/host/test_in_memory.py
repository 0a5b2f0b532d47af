"""Models that ComfyUI's loaders made, trained where ComfyUI holds them: measured in one process of the real ComfyUI."""

from __future__ import annotations

from typing import Any

import pytest

from dreambooth_nodes.tests.host.in_memory.process import measured as figures_of
from dreambooth_nodes.tests.host.model_names import DISTILLED
from dreambooth_nodes.tests.host.tiny_models import SD3_LAYERS

ROUNDING = 2e-5


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    found = figures_of("noise", "families", "unets", "state", "forwards", "runs")
    runs = found.pop("runs")
    return {**{name: figure for figures in found.values() for name, figure in figures.items()}, "runs": runs}


def test_the_target_denoises_to_the_picture_in_every_class_of_answers(measured: dict[str, Any]) -> None:
    """By the class's own `calculate_denoised`, for every schedule."""
    assert {name.split()[1] for name in measured["noise"]} >= {"EPS", "V_PREDICTION", "EDM", "CONST", "X0"}
    for name, figures in measured["noise"].items():
        assert figures["target"] < ROUNDING and figures["answer"] < ROUNDING, name
        assert figures["finite"] == 1 and figures["outside"] == 0, name


def test_discrete_schedules_draw_their_own_levels(measured: dict[str, Any]) -> None:
    tables = {name: figures for name, figures in measured["noise"].items() if "Discrete " in name or "Cascade" in name}
    assert tables and not any(figures["off the table"] for figures in tables.values())


def test_a_flow_s_levels_have_the_density_that_is_asked(measured: dict[str, Any]) -> None:
    """By its distribution function: uniform, shifted by the model's shift or by the tokens, logit-normal."""
    assert len(measured["densities"]) == 6
    for name, found in measured["densities"].items():
        assert found["distance"] < ROUNDING and found["clamped"] < 0.01, name


def test_models_for_few_steps_are_known_by_their_names(measured: dict[str, Any]) -> None:
    assert {name for name, distilled in measured["distilled"].items() if distilled} == DISTILLED


def test_what_makes_no_picture_from_words_is_refused_by_name(measured: dict[str, Any]) -> None:
    taken = {name for name, reason in measured["kinds"].items() if reason is None}
    assert {"SD3", "Flux", "Flux2", "Chroma", "Lumina2", "QwenImage", "HiDream", "CosmosPredict2"} <= taken
    refused = {"WAN21", "HunyuanVideo", "LTXV", "ACEStep", "StableAudio1", "SD15_instructpix2pix", "Hunyuan3Dv2"}
    assert not refused & taken


@pytest.mark.parametrize("model", ["epsilon", "v", "sdxl"])
def test_a_unet_answers_as_its_family_does(measured: dict[str, Any], model: str) -> None:
    """The embedded base by ε and by v, a small SDXL: levels, target and answer, so that the losses are the family's."""
    assert max(measured[model].values()) < ROUNDING, measured[model]


def test_qwen_image_answers_as_in_diffusers(measured: dict[str, Any]) -> None:
    assert measured["diffusers"] < ROUNDING


def test_the_weights_in_training_are_ordinary_tensors_of_the_host_s_memory(measured: dict[str, Any]) -> None:
    assert measured["memory"] == {"loaded as inference tensors": True, "ordinary": True, "same memory": True}


def test_however_it_ends_the_user_s_model_is_as_before(measured: dict[str, Any]) -> None:
    """Names, modules, hooks, values, and the sampler's picture; with a LoRA upstream."""
    assert measured["left"] and all(measured["left"].values()), measured["left"]


def test_the_key_follows_what_is_trained_and_not_where_it_lies(measured: dict[str, Any]) -> None:
    same = {"loaded", "unloaded", "loaded anew", "the same patch"}
    assert {name for name, other in measured["keys"].items() if not other} == same


def test_texts_of_two_lengths_are_told_apart(measured: dict[str, Any]) -> None:
    assert measured["forwards"]["lengths"] == 2
    assert measured["forwards"]["distance"] < ROUNDING


def test_recomputed_activations_give_the_same_gradients(measured: dict[str, Any]) -> None:
    assert measured["gradients"]["norm"] > 0
    assert measured["gradients"]["distance"] <= ROUNDING * measured["gradients"]["norm"]


def test_blocks_that_change_their_inputs_in_place_are_trained(measured: dict[str, Any]) -> None:
    """FLUX's do; recomputed from inputs that had changed, the gradients would be others."""
    assert measured["in place"]["norm"] > 0
    assert measured["in place"]["distance"] <= ROUNDING * measured["in place"]["norm"]


def test_neither_samples_nor_a_stop_change_the_losses(measured: dict[str, Any]) -> None:
    runs = measured["runs"]
    assert runs["with samples"] == runs["resumed"] == runs["anew"] == runs["plain"]
    assert 0 < len(runs["stopped"]) < len(runs["plain"])


def test_attention_and_feed_forward_get_a_lora_that_the_host_finds(measured: dict[str, Any]) -> None:
    assert measured["lora"]["sd3"]["layers"] == SD3_LAYERS
    for found in measured["lora"].values():
        assert found["found"] == len(found["layers"]) > 0
        assert not [name for name in found["layers"] if "norm" in name or "_mod" in name or "emb" in name]


def test_qwen_image_learns_one_picture(measured: dict[str, Any]) -> None:
    assert measured["overfitted"]["last"] < 0.2 * measured["overfitted"]["first"]

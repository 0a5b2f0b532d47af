"""Models that ComfyUI's loaders made, trained where ComfyUI holds them: measured in one process of the real ComfyUI."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from dreambooth_nodes.tests.host.in_memory.process import measured as figures_of
from dreambooth_nodes.tests.host.model_names import DISTILLED
from dreambooth_nodes.tests.host.tiny_models import ATTENTION, QWEN_LAYERS, SD3_LAYERS
from dreambooth_nodes.trainer.options.choices import Targets

ROUNDING = 2e-5
COUNTED_WITHIN = 0.15
"""How far a counted step's memory may be from a real one's, whose kernels are a CPU's."""
STARTS = "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}\N{LOWER ONE EIGHTH BLOCK}"
"""What tokens carry that start a word."""
LEAST = 8
"""Words that are found of one token where two tokenizers have to agree, or T5 alone is asked."""


def check_rare_words(words: dict[str, Any]) -> None:
    """Of each tokenizer: no word speaks against itself, common ones do, and in a prompt each reads as tokens of two
    letters or more that stand apart from their neighbours.
    """
    for name, found in words.items():
        if not found["vocabularies"]:
            continue
        assert len(found["one"]) >= LEAST and (found["two"] or len(found["vocabularies"]) > 1), name
        assert found["again"] and found["against"] == [], name
        assert all(found["against common"].values()), name
        for word, rows in found["read"].items():
            for row in rows:
                tokens = [token.removesuffix("</w>").lstrip(STARTS) for token in row]
                # Every letter of its own is a tokenizer of bytes, which knows no words.
                if "photo" in tokens:
                    start = tokens.index("of") + 1
                    inside = [token for token in tokens[start:] if token and token != "a"]
                    end = inside.index("dog")
                    assert "".join(inside[:end]) == word and min(map(len, inside[:end])) > 1, (name, row)


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    found = figures_of(
        "noise", "families", "unets", "state", "forwards", "quantised", "runs", "drawing", "words", "footprints",
    )  # fmt: skip
    own = {name: found.pop(name) for name in ("runs", "drawing")}
    return {**{name: figure for figures in found.values() for name, figure in figures.items()}, **own}


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


def test_unknown_classes_of_answers_and_schedules_are_refused_by_name(measured: dict[str, Any]) -> None:
    assert set(measured["refused"]) == {"IMG_TO_IMG", "OddSchedule"}
    assert all(f" {name}, which cannot be trained" in told for name, told in measured["refused"].items())


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


def test_qwen_image_has_the_loss_of_diffusers_own_class(measured: dict[str, Any]) -> None:
    found = measured["diffusers"]
    assert found["ours"] == pytest.approx(found["theirs"], rel=ROUNDING) and found["distance"] < ROUNDING


def check_files_of_other_programs(files: dict[str, Any], fused: bool, rounding: float) -> None:
    """diffusers' `load_lora_weights` of the exported file answers as the host with the LoRA; a file of either's, and
    one of q, k and v apart, whose fused layers have their ranks together, is gone on from with the same answer.
    """
    assert files["moved"] > 0.01 and files["distance"] < rounding
    for name, found in files["gone on"].items():
        assert found["distance"] < rounding, name
        assert found["ranks"] == ([4, 12] if fused and name == "split" else [4]), name


def test_a_lora_of_qwen_image_is_diffusers_own_and_goes_on_from_there(measured: dict[str, Any]) -> None:
    check_files_of_other_programs(measured["diffusers"]["files"], fused=False, rounding=ROUNDING)


def test_a_lora_of_more_layers_says_which_targets_go_on_with_it(measured: dict[str, Any]) -> None:
    assert "set targets to 'transformer_and_resnet'" in measured["more layers"]


def test_a_vae_for_videos_encodes_pictures_one_by_one_and_another_model_s_is_refused(measured: dict[str, Any]) -> None:
    found = measured["encoded"]
    assert found["shape"] == [2, 16, 4, 4] and found["distance"] == 0
    assert "4 channels and the model's 16" in found["told"]


def test_the_weights_in_training_are_ordinary_tensors_of_the_host_s_memory(measured: dict[str, Any]) -> None:
    assert measured["memory"] == {"loaded as inference tensors": True, "ordinary": True, "same memory": True}


def test_however_it_ends_the_user_s_model_is_as_before(measured: dict[str, Any]) -> None:
    """Names, modules, hooks, values, and the sampler's picture; with a LoRA upstream."""
    assert measured["left"] and all(measured["left"].values()), measured["left"]


def test_the_key_follows_what_is_trained_and_not_where_it_lies(measured: dict[str, Any]) -> None:
    same = {"loaded", "unloaded", "loaded anew", "the same patch", "the same merge"}
    assert {name for name, other in measured["keys"].items() if not other} == same


def test_changes_that_cannot_be_read_make_a_new_key_each_time_and_that_is_said(measured: dict[str, Any]) -> None:
    found = measured["unread"]
    assert found["plain"] == [] and found["unread"] == ["object"] and found["another"]
    assert len(found["told"]) == 1 and "changed by object, which cannot be read" in found["told"][0]


@pytest.mark.parametrize("kind", ["plain", "scaled", "quantised"])
def test_weights_in_8_bits_are_trained_on_as_they_are(measured: dict[str, Any], kind: str) -> None:
    """Gradients of the same weights in float32; the model as before."""
    found = measured["in bytes"][kind]
    assert ("QuantizedTensor" in found["kinds"]) == (kind == "quantised")
    assert found["distance"] < ROUNDING and found["as before"] and found["same key"]
    assert found["losses"][-1] < 0.9 * found["losses"][0]


def test_layers_that_multiply_in_8_bits_keep_their_gradient(measured: dict[str, Any]) -> None:
    assert measured["products"]["layers"] > 0
    assert measured["products"]["distance"] < ROUNDING and measured["products"]["as before"]


def test_texts_of_two_lengths_are_told_apart(measured: dict[str, Any]) -> None:
    assert measured["forwards"]["lengths"] == 2
    assert measured["forwards"]["distance"] < ROUNDING


@pytest.mark.parametrize("model", ["gradients", "with dropout"])
def test_recomputed_activations_give_the_same_gradients(measured: dict[str, Any], model: str) -> None:
    assert measured[model]["norm"] > 0
    assert measured[model]["distance"] <= ROUNDING * measured[model]["norm"]


def test_blocks_that_change_their_inputs_in_place_are_trained(measured: dict[str, Any]) -> None:
    """FLUX's do; recomputed from inputs that had changed, the gradients would be others."""
    assert measured["in place"]["norm"] > 0
    assert measured["in place"]["distance"] <= ROUNDING * measured["in place"]["norm"]


def test_samples_and_a_stop_do_not_change_the_losses(measured: dict[str, Any]) -> None:
    runs = measured["runs"]
    assert runs["with samples"] == runs["resumed"] == runs["anew"] == runs["plain"]
    assert 0 < len(runs["stopped"]) < len(runs["plain"]) and runs["stopped"] == runs["plain"][: len(runs["stopped"])]


def test_attention_and_feed_forward_get_a_lora_that_the_host_finds(measured: dict[str, Any]) -> None:
    assert measured["lora"]["sd3"]["layers"] == SD3_LAYERS
    for found in measured["lora"].values():
        assert found["found"] == len(found["layers"]) > 0
        assert not [name for name in found["layers"] if "norm" in name or "_mod" in name or "emb" in name]


def test_targets_narrow_and_widen_what_is_trained(measured: dict[str, Any]) -> None:
    narrow, usual, wide = (set(measured["targets"][name]) for name in get_args(Targets))
    assert narrow == {f"transformer_blocks.0.attn.{name}" for name in ATTENTION}
    assert usual == set(QWEN_LAYERS) and narrow < usual
    assert wide - usual == {"transformer_blocks.0.img_mod.1", "transformer_blocks.0.txt_mod.1"}


def test_a_step_s_memory_is_counted_on_the_meta_device(measured: dict[str, Any]) -> None:
    """Beside what the same step really allocates, with activations kept and recomputed."""
    assert len(measured["steps"]) == 6
    for name, found in measured["steps"].items():
        assert found["counted"] == pytest.approx(found["real"], rel=COUNTED_WITHIN), name


def test_the_first_way_that_fits_is_chosen_and_said(measured: dict[str, Any]) -> None:
    plans = measured["plans"]
    assert {name: plan["checkpointing"] for name, plan in plans.items()} == {
        "everything": False, "recomputed": True, "least": True, "less": True,
    }  # fmt: skip
    assert {name: plan["fits"] for name, plan in plans.items()} == {
        "everything": True, "recomputed": True, "least": True, "less": False,
    }  # fmt: skip
    assert "activations kept" in plans["everything"]["text"] and "checkpointing" in plans["recomputed"]["text"]
    assert "of the weights stay on the device" in plans["least"]["text"]
    assert "may not fit: try smaller photos, or load the model in 8 bits" in plans["less"]["text"]


def test_rare_words_are_found_for_every_tokenizer_of_the_host(measured: dict[str, Any]) -> None:
    check_rare_words(measured["words"])
    assert measured["words"]["bytes"]["vocabularies"] == []


def test_t5_s_words_are_of_the_paper_s_range(measured: dict[str, Any]) -> None:
    """DreamBooth, section 3.2: ids 5,000 to 10,000."""
    found = measured["words"]["t5"]
    assert found["vocabularies"] == ["T5"] and len(found["one"]) >= 8
    assert all(5_000 <= rank < 10_000 for rank in found["ranks"])


def test_several_tokenizers_are_all_asked_and_equal_ones_once(measured: dict[str, Any]) -> None:
    known = {name: found["vocabularies"] for name, found in measured["words"].items()}
    assert known["sdxl"] == known["clip"] == ["CLIP"]
    assert known["flux"] == known["sd3"] == ["CLIP", "T5"]
    assert known["hunyuan_image"] == known["z_image"]


def test_the_prior_s_strength_is_of_the_model_s_own_answer(measured: dict[str, Any]) -> None:
    """A flow whose latents have frames, and one whose have none."""
    for name, found in measured["strengths"].items():
        assert found["distance"] < ROUNDING < found["apart"], name
        assert len(found["priors"]) == 16 and found["priors"] == sorted(found["priors"]), name


def test_qwen_image_learns_one_picture(measured: dict[str, Any]) -> None:
    assert measured["overfitted"]["last"] < 0.2 * measured["overfitted"]["first"]


@pytest.mark.parametrize("way", ["host", "file"])
def test_another_model_draws_with_the_lora_on_it(measured: dict[str, Any], way: str) -> None:
    apart = measured["drawing"][way]
    assert apart["same"] <= 1 < min(apart["without"], apart["trained"])


def test_scores_are_compared_with_the_model_that_draws(measured: dict[str, Any]) -> None:
    """As where that model is trained itself, whatever the base would have drawn."""
    of_both, alone = measured["drawing"]["base"]
    assert of_both == alone
    assert measured["drawing"]["fingerprints"][0][:12] in measured["drawing"]["choice"]


def test_what_cannot_draw_for_a_training_is_refused_in_a_sentence(measured: dict[str, Any]) -> None:
    refused = measured["drawing"]["refused"]
    assert "of another architecture than model" in refused["architecture"]
    assert "method is 'full'" in refused["method"] and "disconnect draw_with" in refused["method"]


def test_a_model_that_draws_is_known_again_and_told_from_others(measured: dict[str, Any]) -> None:
    first, again, *others = measured["drawing"]["fingerprints"]
    assert first == again and len({first, *others}) == 1 + len(others)


def test_a_model_for_few_steps_draws_in_few_steps(measured: dict[str, Any]) -> None:
    how = measured["drawing"]["how"]
    assert how == {"None": [20, 5.0], "flux1-schnell.sft": [8, 1.0], "lightning_4step.safetensors": [4, 1.0]}

"""What takes longer of models in ComfyUI's memory: samples, a host that moves the model, speed, and other kinds."""

from __future__ import annotations

from typing import Any

import pytest

from dreambooth_nodes.tests.host.in_memory.process import measured
from dreambooth_nodes.tests.host.newer_comfyui import newer_comfyui
from dreambooth_nodes.tests.host.test_in_memory import check_files_of_other_programs, check_rare_words

pytestmark = pytest.mark.slow
ROUNDING = 2e-5
KINDS = {"flux2": "Flux2", "krea2": "Krea2", "z_image": "Lumina2", "anima": "Anima"}


@pytest.fixture(scope="module")
def slow() -> dict[str, Any]:
    return measured("samples", "moved", "speed", "both_ways")


@pytest.fixture(scope="module")
def full_sizes() -> dict[str, Any]:
    with newer_comfyui():
        return dict(measured("full_sizes")["full_sizes"])


@pytest.fixture(scope="module")
def newer() -> dict[str, Any]:
    with newer_comfyui():
        found = measured("newer", "words", "quantised_newer")
        return {**found["newer"], **found["words"], "quantised": found["quantised_newer"]}


def test_a_sample_is_what_ksampler_draws_with_the_file(slow: dict[str, Any]) -> None:
    """In float32 and bf16, by euler and an ancestral sampler."""
    assert len(slow["samples"]) == 4
    for name, apart in slow["samples"].items():
        assert apart["sample"] <= 2 < apart["base"], name


def test_a_model_that_is_unloaded_meanwhile_is_brought_back(slow: dict[str, Any]) -> None:
    assert slow["moved"]["freed"]["freed"] == slow["moved"]["freed"]["alone"]


def test_a_model_that_does_not_fit_is_trained_as_it_lies(slow: dict[str, Any]) -> None:
    found = slow["moved"]["partly loaded"]
    assert found["patched when used"] > 0
    assert found["distance"] < ROUNDING and found["losses"] < 1e-3
    assert found["same key"] and found["as before"]


def test_weights_that_share_a_buffer_give_the_same_gradients_and_losses(slow: dict[str, Any]) -> None:
    """As those of a newer host on a GPU that has no room for them: fetched again in the backward pass."""
    for name, found in slow["moved"]["streamed"].items():
        assert found["norm"] > 0 == found["kept"] == found["recomputed"] and found["losses"], name


def test_a_training_holds_no_second_copy_of_the_model(slow: dict[str, Any]) -> None:
    assert slow["moved"]["peak"] <= 0.1


def test_a_step_is_not_slower_than_core_s_own(slow: dict[str, Any]) -> None:
    """CPU time, in turn: the medians of the pairs."""
    for name, found in slow["speed"]["node"].items():
        assert found["times"][1] >= 1, name


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_this_year_are_trained(newer: dict[str, Any], name: str) -> None:
    """The loss of diffusers' own class, every layer found, texts apart, gradients with recomputation, one picture
    learnt.
    """
    found = newer[name]
    assert found["class"] == KINDS[name]
    assert found["forwards"]["lengths"] == 2 and found["forwards"]["distance"] < ROUNDING
    assert found["gradients"]["norm"] > 0 and found["gradients"]["distance"] <= ROUNDING * found["gradients"]["norm"]
    assert found["lora"]["found"] == len(found["lora"]["layers"]) > 0
    assert found["overfitted"]["last"] < 0.2 * found["overfitted"]["first"]
    loss = found["diffusers"]
    assert loss["ours"] == pytest.approx(loss["theirs"], rel=1e-3) and loss["distance"] < 1e-4


@pytest.mark.parametrize("name", KINDS)
def test_a_lora_of_this_year_s_kinds_is_diffusers_own_and_goes_on_from_there(newer: dict[str, Any], name: str) -> None:
    """Split layers, and fused ones of FLUX.2's and Z-Image's q, k and v."""
    check_files_of_other_programs(newer[name]["diffusers"]["files"], fused=name in ("flux2", "z_image"), rounding=1e-4)


def test_quantised_weights_are_trained_on_where_their_gradient_is_right_and_else_refused(newer: dict[str, Any]) -> None:
    """By a comparison with the gradient of the same weights as plain numbers, on the host's own layers."""
    found = newer["quantised"]
    kinds = found["kinds"]
    assert {kind for kind, told in kinds.items() if not told} >= {"float8_e4m3fn", "float8_e5m2", "nvfp4", "mxfp8"}
    for kind, name in {"convrot_w4a4": "ConvRot W4A4", "asym_w4a8_int8": "W4A8"}.items():
        assert f"weights are {name}" in kinds[kind] and found["way out"] in kinds[kind]
    assert "nunchaku" in found["pack"] and found["way out"] in found["pack"] and found["plain"] is None
    files = {"lumina2": "z_image_bf16", "flux2": "flux-2-klein-base-4b", "qwen_image": "qwen_image_fp8"}
    assert all(f"Such a file is {file}" in found["named"][name] for name, file in files.items())


def test_rare_words_are_found_for_this_year_s_tokenizers(newer: dict[str, Any]) -> None:
    assert {"klein", "krea2", "anima", "z_image", "qwen_image"} <= newer["words"].keys()
    check_rare_words(newer["words"])
    assert newer["words"]["anima"]["vocabularies"] == ["the text encoder", "T5"]


@pytest.mark.parametrize("name", KINDS)
def test_a_model_of_this_year_is_left_as_it_was(newer: dict[str, Any], name: str) -> None:
    """However a run ends; and neither samples nor a stop change its losses."""
    found = newer[name]
    assert found["left"] and all(found["left"].values()), found["left"]
    runs = found["runs"]
    assert runs["with samples"] == runs["resumed"] == runs["anew"] == runs["plain"]
    assert 0 < len(runs["stopped"]) < len(runs["plain"])


def test_both_ways_of_training_the_embedded_base_come_to_the_same(slow: dict[str, Any]) -> None:
    found = slow["both_ways"]
    assert len(found["adapter"]) == 20
    assert found["adapter"] == pytest.approx(found["file"], rel=2e-3)
    assert found["pictures"] <= 2 < found["changed"]


NUMBERS = {"Z-Image": 6.15, "FLUX.2 Klein 4B": 3.88, "FLUX.2 Klein 9B": 9.08, "Krea 2": 12.8, "Anima": 2.09,
           "Qwen-Image": 20.4}  # fmt: skip
"""{model at full size: its numbers, in thousands of millions}."""
RESIDENT = {"Z-Image", "FLUX.2 Klein 4B", "FLUX.2 Klein 9B", "Anima"}
"""Those of which every weight stays on the card, in 8 bits."""


@pytest.mark.parametrize("name", NUMBERS)
def test_a_step_at_full_size_fits_the_card_that_it_has_to_fit(full_sizes: dict[str, Any], name: str) -> None:
    """Rank 16, one picture of 1024 px, of 11 GB for Z-Image, Klein 4B and Anima, 15 for Klein 9B and Krea 2, 23 for
    Qwen-Image: counted; `pytest -m "" -s -k full_size` prints the table of bench/README.md.
    """
    for bits, size in (("bf16", 2), ("fp8", 1)):
        found = full_sizes[f"{name}, {bits}"]
        assert found["weights"] == pytest.approx(size * NUMBERS[name], rel=0.005)
        assert found["fits"] and found["least"] < found["budget"]
        copied = 3 * (found["weights"] - found["stay"])
        figures = [found[key] for key in ("weights", "adapter", "step", "all", "least", "budget", "stay")]
        print(f"| {name} | {bits} | " + " | ".join(f"{one:.1f}" for one in [*figures, copied]) + " |")
    assert (found["stay"] == found["weights"]) == (name in RESIDENT)

"""LoRA files under the keys of any tool: prefixes, names of layers and ends combine freely, and mean the same LoRA."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dreambooth_nodes.tests.trainer.export.random_lora import RANK, random_lora
from dreambooth_nodes.tests.trainer.model.families.small import checkpoint_shapes
from dreambooth_nodes.trainer.export.compatibility import check_applies
from dreambooth_nodes.trainer.export.conversion import Conversion, ConversionError
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.files.adapter_kinds import WORD, adapter_kind
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, write_tensors
from dreambooth_nodes.trainer.methods.lora.file import read_lora
from dreambooth_nodes.trainer.methods.lora.weights import LoraLayer, LoraWeights
from dreambooth_nodes.trainer.methods.start import kept_settings
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import Layers, Place, layers_in
from dreambooth_nodes.trainer.model.source import ShapesOnly

PREFIXES = {
    "sd1": {
        "denoiser": ("lora_unet_", "unet.", "unet_", "diffusion_model.", "model.diffusion_model.", "lycoris_unet_", ""),
        "text_encoder": ("lora_te_", "lora_te1_", "te1.", "text_encoder.", "clip_l.", "lycoris_te_", "te_1."),
    },
    "sdxl": {
        "denoiser": (
            "lora_unet_",
            "unet.",
            "diffusion_model.",
            "lycoris_",
            "base_model.model.unet.",
            "base_model.model.",
            "base_model.model._orig_mod.",
            "module.base_model.model.",
            "unet.module._orig_mod.",
        ),
        "text_encoder": ("lora_te1_", "te1.", "text_encoder.", "text_encoder_1.", "clip_l.", "clip_l.transformer."),
        "text_encoder_2": ("lora_te2_", "te2.", "text_encoder_2.", "clip_g.", "text_encoders.clip_g.transformer."),
    },
}
"""{family: {component: what tools write before a layer's name}}; those of the first column belong together."""
ENDS = (
    (".lora_down.weight", ".lora_up.weight", ".alpha"),
    (".lora_A.weight", ".lora_B.weight", ".alpha"),
    (".lora_A.default.weight", ".lora_B.default.weight", ".alpha"),
    (".lora_A.my_subject.weight", ".lora_B.my_subject.weight", ".alpha"),
    (".lora.down.weight", ".lora.up.weight", ".lora.alpha"),
    ("_lora.down.weight", "_lora.up.weight", ".alpha"),
    (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight", ".alpha"),
    (".lora_down", ".lora_up", ".alpha"),
)


@lru_cache
def layers_of(family: str) -> Layers:
    shapes = checkpoint_shapes(family)
    return layers_in(ShapesOnly(family, shapes))


@lru_cache
def some(family: str) -> dict[Place, LoraLayer]:
    """Every fifth layer of every component."""
    lora = random_lora(layers_of(family), alpha=1.5)
    places = [(component, name) for component, own in lora.items() for name in own]
    return {place: lora[place[0]][place[1]] for place in places[::5]}


def names_of(layers: Layers, place: Place) -> tuple[str, ...]:
    """Ours, the one that tools share, and the original one, where a LoRA can have it."""
    component, name = place
    original = layers.tables[component].original_name(f"{name}.weight")
    bare = None if original is None else original.removeprefix(layers.tables[component].prefix)
    shared = layers.family.shared_name(component, name)
    return (name, shared, *([] if bare is None else [bare.removesuffix(".weight")]))


def equal(found: LoraWeights, wanted: dict[Place, LoraLayer]) -> bool:
    flat = {(component, name): layer for component, own in found.items() for name, layer in own.items()}
    return flat.keys() == wanted.keys() and all(
        torch.equal(flat[place].down.float(), layer.down.float())
        and torch.equal(flat[place].up.float(), layer.up.float())
        and flat[place].alpha == layer.alpha
        for place, layer in wanted.items()
    )


def written(name: str, layer: LoraLayer, ends: tuple[str, str, str]) -> dict[str, Tensor]:
    halves = {name + ends[0]: layer.down, name + ends[1]: layer.up}
    return {**halves, name + ends[2]: torch.tensor(layer.alpha)}


@settings(max_examples=40)
@given(st.data())
@pytest.mark.parametrize("family", PREFIXES)
def test_every_combination_is_the_same_lora(
    family: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    layers, tensors = layers_of(family), dict[str, Tensor]()
    ends = data.draw(st.sampled_from(ENDS))
    prefixes = {component: data.draw(st.sampled_from(own)) for component, own in PREFIXES[family].items()}
    flat, which = data.draw(st.booleans()), data.draw(st.integers(0, 2))
    for place, layer in some(family).items():
        names = names_of(layers, place)
        name = prefixes[place[0]] + names[min(which, len(names) - 1)]
        tensors |= written(name.replace(".", "_") if flat else name, layer, ends)
    file = write_tensors(tensors, tmp_path_factory.getbasetemp() / "styles.safetensors", {})
    lora = read_lora(file, layers)
    assert equal(lora, some(family)) and not lora.warnings
    assert check_applies(file, layers.source).fits
    assert kept_settings(file) == {"rank": RANK}


def test_a_name_with_an_underscore_at_its_end_is_the_same_layer(tmp_path: Path) -> None:
    """As a script writes it that cuts keys at ".lora"."""
    tensors: dict[str, Tensor] = {}
    for place, layer in some("sd1").items():
        tensors |= written(f"{layers_of('sd1').kohya_name(place)}_", layer, ENDS[0])
    assert equal(read_lora(write_tensors(tensors, tmp_path / "a.safetensors", {}), layers_of("sd1")), some("sd1"))


@pytest.mark.parametrize("family", PREFIXES)
def test_text_encoders_without_a_prefix_are_told_apart_by_their_shapes(family: str, tmp_path: Path) -> None:
    text = {place: layer for place, layer in some(family).items() if place[0] != "denoiser"}
    last = next(reversed([place[0] for place in text]))
    own = {place: layer for place, layer in text.items() if place[0] == last}
    tensors: dict[str, Tensor] = {}
    for (_, name), layer in own.items():
        tensors |= written(f"base_model.model.text_model.{name}", layer, ENDS[1])
    assert equal(read_lora(write_tensors(tensors, tmp_path / "a.safetensors", {}), layers_of(family)), own)


@pytest.mark.parametrize(
    "more",
    [
        {"bundle_emb.mydog.clip_l": torch.ones(2, 768), "bundle_emb.mydog.clip_g": torch.ones(2, 1280)},
        {"step": torch.tensor(7), "epoch": torch.tensor(1)},
        {"emb_params": torch.ones(1, 768), "ss_tag": torch.zeros(0), "lora_state.version": torch.ones(1)},
    ],
    ids=["words", "counters", "others"],
)
def test_what_is_no_part_of_a_layer_is_named_and_the_rest_is_used(more: dict[str, Tensor], tmp_path: Path) -> None:
    tensors: dict[str, Tensor] = dict(more)
    for place, layer in some("sd1").items():
        tensors |= written(layers_of("sd1").kohya_name(place), layer, ENDS[0])
    file = write_tensors(tensors, tmp_path / "a.safetensors", {})
    lora = read_lora(file, layers_of("sd1"))
    (said,) = lora.warnings
    assert equal(lora, some("sd1")) and all(key in said for key in more)
    found = check_applies(file, layers_of("sd1").source)
    assert found.fits and found.left_out == sorted(more)
    done = convert(
        Conversion(source=file, layout="diffusers", target=tmp_path / "b.safetensors", layers=layers_of("sd1"))
    )
    assert done.warnings == (said,)


@pytest.mark.parametrize("end", [".bias", ".lora_B.bias", ".weight", ".norm.scale"])
def test_a_part_of_a_layer_that_is_not_known_is_an_error(end: str, tmp_path: Path) -> None:
    (place, layer), *_ = some("sd1").items()
    name = layers_of("sd1").diffusers_name(place)
    tensors = {**written(name, layer, ENDS[1]), f"{name}{end}": torch.ones(3)}
    with pytest.raises(CheckpointError, match=f"of no layer of the base: {name}{end}"):
        read_lora(write_tensors(tensors, tmp_path / "a.safetensors", {}), layers_of("sd1"))


def test_a_layer_under_two_names_is_an_error(tmp_path: Path) -> None:
    (place, layer), *_ = some("sd1").items()
    names = (layers_of("sd1").kohya_name(place), layers_of("sd1").diffusers_name(place))
    tensors = {**written(names[0], layer, ENDS[0]), **written(names[1], layer, ENDS[1])}
    with pytest.raises(CheckpointError, match="has others already"):
        read_lora(write_tensors(tensors, tmp_path / "a.safetensors", {}), layers_of("sd1"))


def test_an_error_shows_a_few_keys_and_their_number(tmp_path: Path) -> None:
    """Of another model's LoRA, a thousand keys."""
    name = "lora_unet_double_blocks_{}_img_attn_qkv.lora_{}.weight"
    tensors = {name.format(block, half): torch.ones(2, 2) for block in range(500) for half in ("down", "up")}
    with pytest.raises(CheckpointError, match=r"\(1000 in all\)") as raised:
        read_lora(write_tensors(tensors, tmp_path / "a.safetensors", {}), layers_of("sd1"))
    assert len(str(raised.value)) < 500


KINDS = {
    "a LoHa": ("lora_unet_x.hada_w1_a", "lycoris_x.hada_w2_b", "base_model.model.x.hada_t1"),
    "an OFT or BOFT": ("oft_unet_x.oft_blocks", "base_model.model.x.oft_r.weight", "lycoris_x.oft_diag"),
    "a LoRA in cloneofsimo's layout": ("unet:0:up", "unet:0:down", "text_encoder:12:up"),
    "a GLoRA": ("lora_unet_x.a1.weight", "lycoris_x.b2.weight", "x.a2.weight"),
    "an IA3": ("base_model.model.x.ia3_l", "lora_unet_x.on_input", "x.ia3_l.default"),
    "a VeRA or RandLora": ("base_model.model.x.vera_lambda_b", "vera.vera_A", "x.randlora_lambda"),
}

READ_KINDS = {
    "a LoKr": ("lora_unet_x.lokr_w1", "base_model.model.x.lokr_w1_a", "lycoris_x.lokr_t2", "x.lokr_w2.default"),
    "a DoRA": ("lora_unet_x.dora_scale", "x.lora_magnitude_vector", "x.lora_magnitude_vector.default.weight"),
}
"""Those that have a method here."""


@pytest.mark.parametrize("kind", READ_KINDS)
def test_an_adapter_of_another_kind_that_is_read_is_no_base(kind: str, tmp_path: Path) -> None:
    for key in READ_KINDS[kind]:
        file = write_tensors({key: torch.ones(2, 2)}, tmp_path / "a.safetensors", {})
        assert adapter_kind([key]) == kind
        with pytest.raises(CheckpointError, match=kind):
            load_base(file)


@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_of_adapter_is_named_everywhere(kind: str, tmp_path: Path) -> None:
    for key in KINDS[kind]:
        file = write_tensors({key: torch.ones(2, 2)}, tmp_path / "a.safetensors", {})
        assert adapter_kind([key]) == kind
        with pytest.raises(CheckpointError, match=kind):
            load_base(file)
        with pytest.raises(CheckpointError, match=kind):
            kept_settings(file)
        target = tmp_path / "b.safetensors"
        with pytest.raises((CheckpointError, ConversionError), match=kind):
            convert(Conversion(source=file, layout="kohya", target=target, layers=layers_of("sd1")))
        with pytest.raises(CheckpointError, match=kind):
            check_applies(file, layers_of("sd1").source)


@pytest.mark.parametrize("key", ["emb_params", "clip_l", "clip_g", "<olt>"])
def test_a_learned_word_is_no_base_and_no_lora(key: str, tmp_path: Path) -> None:
    file = write_tensors({key: torch.ones(2, 5)}, tmp_path / "a.safetensors", {})
    assert adapter_kind([key]) == WORD
    with pytest.raises(CheckpointError, match="learned word"):
        load_base(file)
    with pytest.raises(CheckpointError, match="learned word"):
        read_lora(file, layers_of("sd1"))
    assert not check_applies(file, layers_of("sd1").source).fits


def test_no_whole_model_is_taken_for_an_adapter() -> None:
    for family in PREFIXES:
        assert adapter_kind(list(layers_of(family).source.shapes)) is None

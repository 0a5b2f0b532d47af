"""LoRA files of ours, kohya's and diffusers': the same weights whichever way they come and go."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.tests.trainer.export.random_lora import RANK, answer, random_lora
from dreambooth_nodes.trainer.export.adapter_writer import write_lora
from dreambooth_nodes.trainer.export.conversion import Conversion
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.export.merge import merge_into
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, read_tensors, write_tensors
from dreambooth_nodes.trainer.methods.lora.file import read_lora
from dreambooth_nodes.trainer.methods.lora.layouts import diffusers_tensors, kohya_tensors
from dreambooth_nodes.trainer.methods.lora.weights import LoraLayer, LoraWeights, all_layers, ranks
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.layers import Layers, layers_in, layers_of


def same(one: LoraWeights, other: LoraWeights) -> bool:
    flat = [{(c, n): layer for c, n, layer in all_layers(lora)} for lora in (one, other)]
    return flat[0].keys() == flat[1].keys() and all(
        torch.equal(layer.down.float(), flat[1][place].down.float())
        and torch.equal(layer.up.float(), flat[1][place].up.float())
        and layer.alpha == flat[1][place].alpha
        for place, layer in flat[0].items()
    )


def test_a_live_base_and_its_file_have_the_same_layers(base_file: Path, layers: Layers) -> None:
    live = layers_of(load_base(base_file))
    assert live.places == layers.places == layers_in(base_file).places and live.kohya_names == layers.kohya_names
    assert len(layers.kohya_names) == len(layers.diffusers_names) == len(layers.places)


@pytest.mark.parametrize("alpha", [RANK, 1.5, 8.0])
def test_kohyas_layout_keeps_all_of_a_lora(alpha: float, layers: Layers, tmp_path: Path) -> None:
    lora = random_lora(layers, alpha)
    file = write_lora(lora, layers, "kohya", tmp_path / "a.safetensors", {}, torch.float16)
    assert same(read_lora(file, layers), lora)


def test_kohya_to_diffusers_and_back_is_exact(layers: Layers, tmp_path: Path) -> None:
    lora = random_lora(layers)
    first = write_lora(lora, layers, "kohya", tmp_path / "a.safetensors", {}, torch.float16)
    there = convert(Conversion(source=first, layout="diffusers", target=tmp_path / "b.safetensors", layers=layers))
    back = convert(Conversion(source=there.path, layout="kohya", target=tmp_path / "c.safetensors", layers=layers))
    assert same(read_lora(there.path, layers), lora)
    before, after = read_tensors(first), read_tensors(back.path)
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


def test_an_alpha_that_is_not_the_rank_is_folded_where_the_layout_has_none(layers: Layers) -> None:
    lora = random_lora(layers, alpha=1.5)
    names = {f"{layers.diffusers_name((c, n))}.lora_": layer for c, n, layer in all_layers(lora)}
    tensors = diffusers_tensors(lora, layers, torch.float32)
    assert not any("alpha" in key for key in tensors)
    for name, layer in names.items():
        product = tensors[f"{name}B.weight"].flatten(1) @ tensors[f"{name}A.weight"].flatten(1)
        torch.testing.assert_close(product, layer.change())


def test_layers_of_different_ranks_get_one_in_diffusers_layout(layers: Layers) -> None:
    lora = {**random_lora(layers, only="denoiser"), **random_lora(layers, alpha=2.0, rank=5, only="text_encoder")}
    tensors = diffusers_tensors(lora, layers, torch.float32)
    assert {tensor.shape[0] for key, tensor in tensors.items() if "lora_A" in key} == {5}
    for component, name, layer in all_layers(lora):
        name = layers.diffusers_name((component, name))
        product = tensors[f"{name}.lora_B.weight"].flatten(1) @ tensors[f"{name}.lora_A.weight"].flatten(1)
        torch.testing.assert_close(product, layer.change())


def older_style(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """diffusers' names of 2023: `to_q.lora.down`, `q_proj.lora_linear_layer.down`."""
    renamed = {}
    for key, tensor in tensors.items():
        middle = "lora_linear_layer" if key.startswith("text_encoder") else "lora"
        key = key.replace("lora_A", f"{middle}.down").replace("lora_B", f"{middle}.up")
        renamed[key] = tensor
    return renamed


def oldest_style(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Attention processors' names: `attn1.processor.to_q_lora.down`, `self_attn.to_q_lora.down`."""
    renamed = {}
    for key, tensor in older_style(tensors).items():
        if "attn" in key:
            key = key.replace("lora_linear_layer", "lora").replace(".lora.", "_lora.").replace("q_proj", "to_q")
            key = key.replace("to_out.0_lora", "to_out_lora").replace("attn1.", "attn1.processor.")
        renamed[key] = tensor
    return renamed


def peft_style(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers 5 has no `text_model`, and peft puts the adapter's name into a live state."""
    return {
        key.replace(".text_model.", ".").replace(".weight", ".default.weight"): tensor
        for key, tensor in tensors.items()
    }


def bare_style(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix("unet."): t for key, t in tensors.items() if key.startswith("unet.")}


@pytest.mark.parametrize("style", [older_style, oldest_style, peft_style, bare_style])
def test_other_styles_are_the_same_lora(
    style: Callable[[dict[str, Tensor]], dict[str, Tensor]], layers: Layers, tmp_path: Path
) -> None:
    lora = random_lora(layers, only="denoiser" if style is bare_style else "")
    tensors = style(diffusers_tensors(lora, layers, torch.float16))
    assert tensors.keys() != diffusers_tensors(lora, layers).keys()
    assert same(read_lora(write_tensors(tensors, tmp_path / "a.safetensors", {}), layers), lora)


def test_the_alpha_in_diffusers_newer_header_counts(layers: Layers, tmp_path: Path) -> None:
    lora = random_lora(layers, alpha=6.0)
    tensors = {}
    for key, tensor in kohya_tensors(lora, layers).items():
        name, _, part = key.partition(".")
        half = {"lora_down.weight": "lora_A.weight", "lora_up.weight": "lora_B.weight"}.get(part)
        if half:
            tensors[f"{layers.diffusers_name(layers.kohya_names[name])}.{half}"] = tensor
    said = {"unet.lora_alpha": 6, "text_encoder.lora_alpha": 2, "text_encoder_2.lora_alpha": 6}
    said["text_encoder.alpha_pattern"] = dict.fromkeys(  # type: ignore[assignment]
        (layers.diffusers_name(("text_encoder", n)).partition(".")[2] for n in lora["text_encoder"]), 6
    )
    file = write_tensors(tensors, tmp_path / "a.safetensors", {"lora_adapter_metadata": json.dumps(said)})
    assert same(read_lora(file, layers), lora)


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("hada_w1_a", "LoHa"),
        ("lokr_w1", "LoKr"),
        ("dora_scale", "DoRA"),
        ("lora_mid.weight", "LoCon"),
        ("diff", "whole"),
    ],
)
def test_adapters_that_are_no_lora_are_refused_by_name(ending: str, kind: str, layers: Layers, tmp_path: Path) -> None:
    tensors = kohya_tensors(random_lora(layers), layers)
    key = f"{next(iter(tensors)).partition('.')[0]}.{ending}"
    file = write_tensors({**tensors, key: torch.ones(1)}, tmp_path / "a.safetensors", {})
    with pytest.raises(CheckpointError, match=f"{key}.*{kind}"):
        read_lora(file, layers)


@pytest.mark.parametrize(
    ("part", "tensor", "found"),
    [
        ("lora_up.weight", None, r"missing: the up half beside {name}"),
        ("lora_up.weight", torch.ones(8, RANK), r"misshapen: {name}\.lora_up"),
        ("lora_up.weight", torch.ones(128, RANK + 1), r"misshapen: {name}\.lora_up"),
        ("nothing.weight", torch.ones(2, 2), r"no layer of the base: {name}\.nothing"),
    ],
)
def test_torn_and_foreign_keys_are_listed(
    part: str, tensor: Tensor | None, found: str, layers: Layers, tmp_path: Path
) -> None:
    name = layers.kohya_name(("denoiser", "mid_block.attentions.0.proj_in"))
    changed = {**kohya_tensors(random_lora(layers), layers), f"{name}.{part}": tensor}
    tensors = {key: value for key, value in changed.items() if value is not None}
    file = write_tensors(tensors, tmp_path / "a.safetensors", {})
    with pytest.raises(CheckpointError, match=found.format(name=name)):
        read_lora(file, layers)


def test_a_bad_export_leaves_no_file(layers: Layers, tmp_path: Path) -> None:
    lora = random_lora(layers)
    layer = lora["denoiser"]["mid_block.attentions.0.proj_in"]
    bad = {**lora["denoiser"], "mid_block.attentions.0.proj_in": LoraLayer(layer.down[:, :9], layer.up, 1.0)}
    with pytest.raises(CheckpointError, match=r"misshapen: .*proj_in\.lora_down"):
        write_lora({"denoiser": bad}, layers, "kohya", tmp_path / "a.safetensors", {}, torch.float16)
    assert not list(tmp_path.iterdir())


def test_a_merged_lora_changes_the_answer_and_strength_scales_it(new_base: Callable[[], Base], layers: Layers) -> None:
    lora, plain = random_lora(layers), answer(new_base())
    assert ranks(lora) == {RANK}
    assert torch.equal(answer(merge_into(new_base(), lora, 0.0)), plain)
    halved = {c: {n: type(x)(x.down, x.up, x.alpha / 2) for n, x in some.items()} for c, some in lora.items()}
    whole, half = answer(merge_into(new_base(), lora, 0.5)), answer(merge_into(new_base(), halved))
    torch.testing.assert_close(whole, half)
    assert (whole - plain).abs().max() > 0.01

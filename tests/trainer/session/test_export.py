"""The saved files: names that others read, values that are the trained ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.trainer.export.difference import difference
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, write_tensors
from dreambooth_nodes.trainer.methods.lora.layouts import kohya_tensors
from dreambooth_nodes.trainer.methods.lora.weights import from_peft
from dreambooth_nodes.trainer.methods.registry import Full, Lora
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import fingerprint_of, load_base
from dreambooth_nodes.trainer.model.layers import layers_of
from dreambooth_nodes.trainer.model.original_layout import original_tensors
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.runs.personalized import Personalized

NewBase = Callable[[], Base]


def test_an_unchanged_base_exports_to_its_own_file(new_base: NewBase) -> None:
    base = new_base()
    full = Full()
    full.attach(base, TrainOptions(method="full", train_text_encoder=True))
    exported, file = original_tensors(base, full.trained(base)), base.source.tensors()
    assert exported.keys() == file.keys()
    assert all(torch.equal(exported[key], tensor) for key, tensor in file.items())


def test_a_lora_under_kohyas_names_is_the_same_update(new_base: NewBase) -> None:
    base, options = new_base(), TrainOptions(rank=4, alpha=2.0, train_text_encoder=True)
    plain = {name: value.clone() for name, value in base.denoiser.state_dict().items()}
    lora = Lora()
    lora.attach(base, options)
    for parameter in base.denoiser.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.05)
    tensors = kohya_tensors(lora.weights(base), layers_of(base), torch.float32)
    layer = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    name = f"lora_unet_{layer.replace('.', '_')}"
    down, up, alpha = (tensors[f"{name}.{part}"] for part in ("lora_down.weight", "lora_up.weight", "alpha"))
    assert torch.linalg.matrix_rank(up @ down) == 4
    merged = plain[f"{layer}.weight"] + alpha / 4 * (up @ down)
    x = torch.randn(1, 5, merged.shape[1])
    live = base.denoiser.get_submodule(layer)
    torch.testing.assert_close(live(x), x @ merged.t(), rtol=1e-4, atol=1e-4)
    assert "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight" in tensors


def test_the_difference_turns_the_base_into_the_result(new_base: NewBase, tiny_base_file: Path, tmp_path: Path) -> None:
    base, full = new_base(), Full()
    full.attach(base, TrainOptions(method="full"))
    with torch.no_grad():
        base.denoiser.conv_in.weight.add_(0.25)
    file = write_tensors(original_tensors(base, full.trained(base)), tmp_path / "x.safetensors", {})
    result = Personalized(file, "full", "olt", "dog", base.fingerprint, 1, 0)
    changes = difference(result, tiny_base_file)
    name = "diffusion_model.input_blocks.0.0.weight"
    assert list(changes) == ["denoiser"] and list(changes["denoiser"]) == [name]
    before = base.source.tensors()["model.diffusion_model.input_blocks.0.0.weight"].float()
    after = load_base(file).denoiser.conv_in.weight
    torch.testing.assert_close(before + changes["denoiser"][name], after, rtol=0, atol=0)
    with pytest.raises(CheckpointError, match="no longer kept"):
        difference(result, tmp_path / "gone.safetensors")


def test_a_float32_copy_has_the_same_fingerprint_and_a_changed_one_another(base: Base, tmp_path: Path) -> None:
    tensors = {key: t.float() if t.is_floating_point() else t for key, t in base.source.tensors().items()}
    file = write_tensors(tensors, tmp_path / "copy.safetensors", {})
    assert fingerprint_of(file) == base.fingerprint
    tensors["model.diffusion_model.out.2.bias"] = tensors["model.diffusion_model.out.2.bias"] + 1
    write_tensors(tensors, file, {})
    assert fingerprint_of(file) != base.fingerprint


def test_weights_that_are_no_numbers_are_not_saved(base: Base) -> None:
    halves = {"x.lora_A.weight": torch.tensor([[float("nan")]]), "x.lora_B.weight": torch.ones(1, 1)}
    with pytest.raises(ValueError, match=r"lora_unet_x\.lora_down\.weight"):
        kohya_tensors(from_peft({"denoiser": halves}, 1.0), layers_of(base))

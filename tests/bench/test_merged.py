"""A LoRA of other trainers, added to the weights, does what its own library makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from dreambooth_nodes.bench.quality.rivals.diffusers_scripts import module_name
from dreambooth_nodes.bench.quality.rivals.merged import (
    MergedDenoiser,
    UnknownWeights,
    differences,
    replace_weights,
    trained_weights,
)
from dreambooth_nodes.demo.example import cached_toybase
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base

RANK = 3


@pytest.fixture(scope="module")
def base() -> Base:
    """One for all: what the weights are, no test but the one that changes them asks."""
    return load_base(cached_toybase())


@pytest.fixture
def pipeline(base: Base) -> StableDiffusionPipeline:
    """diffusers' own, with a denoiser of its own."""
    unet = UNet2DConditionModel.from_config(base.denoiser.config)
    unet.load_state_dict(base.denoiser.state_dict())
    return StableDiffusionPipeline(
        vae=base.vae,
        text_encoder=base.text_encoders["text_encoder"],
        tokenizer=base.tokenizer,
        unet=unet.eval(),
        scheduler=base.scheduler("ddim"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def randomly_adapted(module: nn.Module) -> None:
    """PEFT begins with a LoRA that changes nothing."""
    generator = torch.Generator().manual_seed(0)
    for name, weight in module.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.1, generator=generator)


@torch.no_grad()
def test_a_merged_lora_answers_as_diffusers_own_loading(
    base: Base, pipeline: StableDiffusionPipeline, tmp_path: Path
) -> None:
    targets = ["to_k", "to_q", "to_v", "to_out.0"]
    pipeline.unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets))
    randomly_adapted(pipeline.unet)
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(pipeline.unet))
    pipeline.save_lora_weights(tmp_path, unet_lora_layers=layers)
    pipeline.unet.delete_adapters("default")
    pipeline.load_lora_weights(tmp_path)

    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    context = base.encode_prompts(["a dog"])
    plain = base.predict(latents, torch.tensor([500]), context)
    theirs = pipeline.unet(latents, torch.tensor([500]), context["context"]).sample
    tensors = load_file(tmp_path / "pytorch_lora_weights.safetensors")
    merged = MergedDenoiser(base)
    # Twice: the second one must not come on top of the first.
    for _ in range(2):
        merged.add(differences(tensors, module_name))
    torch.testing.assert_close(base.predict(latents, torch.tensor([500]), context), theirs, atol=1e-5, rtol=1e-4)
    assert (theirs - plain).abs().max() > 0.01
    assert trained_weights(tensors) == sum(layer.numel() for layer in layers.values())


def test_alpha_over_rank_scales_as_pefts_own_merging() -> None:
    torch.manual_seed(0)
    plain = {"0": nn.Conv2d(4, 6, 3).weight.detach().clone(), "1": nn.Linear(6, 5).weight.detach().clone()}
    model = nn.Sequential(nn.Conv2d(4, 6, 3), nn.Linear(6, 5))
    for name, weight in plain.items():
        model[int(name)].weight.data.copy_(weight)
    adapted = get_peft_model(model, LoraConfig(r=2, lora_alpha=5, target_modules=["0", "1"]))
    randomly_adapted(adapted)
    prefix = "base_model.model."
    tensors: dict[str, Tensor] = {**get_peft_model_state_dict(adapted)}
    tensors |= {f"{prefix}{name}.alpha": torch.tensor(5.0) for name in plain}
    found = differences(tensors, lambda name: name.removeprefix(prefix))
    theirs = adapted.merge_and_unload().state_dict()
    for name, weight in plain.items():
        change = found[f"{name}.weight"].reshape(weight.shape)
        assert change.abs().max() > 0.01
        torch.testing.assert_close(weight + change, theirs[f"{name}.weight"])


def test_names_that_the_denoiser_lacks_are_listed(base: Base) -> None:
    pair = {"lora_up.weight": torch.ones(2, 1), "lora_down.weight": torch.ones(1, 2)}
    table = base.tables["denoiser"]
    for name in ("diffusion_model.nowhere", "clip_l.encoder"):
        tensors = {f"{name}.{half}": tensor for half, tensor in pair.items()}
        with pytest.raises(UnknownWeights, match=rf"{name}\.lora_down\.weight, {name}\.lora_up"):
            differences(tensors, lambda module: table.our_name(f"model.{module}"))
    with pytest.raises(UnknownWeights, match=r"conv_in\.weight"):
        MergedDenoiser(base).add({"conv_in.weight": torch.ones(2, 2)})
    with pytest.raises(UnknownWeights, match="lacks"):
        replace_weights(base, {"conv_in.bias": base.denoiser.conv_in.bias})

"""One model has one fingerprint, whoever cast it; another model has another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.tests.trainer.model.families.small import new_vae
from dreambooth_nodes.trainer.model.families import fingerprint_of, load_base
from dreambooth_nodes.trainer.model.fingerprint import fingerprint

Model = dict[str, dict[str, Tensor]]
Cast = Callable[[Tensor], Tensor]


def model(seed: int = 0) -> Model:
    """Values of many sizes in the denoiser, and a VAE with random norms."""
    torch.manual_seed(seed)
    vae = {name: tensor + torch.randn_like(tensor) / 10 for name, tensor in new_vae().state_dict().items()}
    return {"denoiser": {"conv.weight": torch.randn(999) * torch.logspace(-6, 3, 999)}, "vae": vae}


def cast(found: Model, **casts: Cast) -> Model:
    return {part: {k: casts.get(part, Tensor.float)(t) for k, t in own.items()} for part, own in found.items()}


def half_then_bf16(tensor: Tensor) -> Tensor:
    return tensor.half().bfloat16()


@pytest.mark.parametrize("vae", [Tensor.half, Tensor.bfloat16, half_then_bf16])
@pytest.mark.parametrize("denoiser", [Tensor.float, Tensor.half])
def test_a_file_its_fp16_copy_and_a_host_that_casts_the_vae_are_one_model(vae: Cast, denoiser: Cast) -> None:
    assert fingerprint(cast(model(), denoiser=denoiser, vae=vae)) == fingerprint(model())


def test_no_rounding_would_make_the_three_alike() -> None:
    """Why signs: fp32 to bf16 is not fp32 to fp16 to bf16."""
    weights = torch.cat([tensor.flatten() for tensor in model()["vae"].values()])
    apart = (weights.bfloat16() != half_then_bf16(weights)).float().mean()
    assert apart > 0.01


def test_signs_survive_where_values_vanish() -> None:
    tiny = torch.tensor([-1e-9, 1e-9, -0.0, 0.0])
    whole = {"vae": {"weight": tiny}}
    assert fingerprint(whole) == fingerprint(cast(whole, vae=Tensor.half))
    assert fingerprint(whole) != fingerprint({"vae": {"weight": -tiny}})


def test_another_vae_a_finetuned_one_or_a_changed_weight_is_another_model() -> None:
    found, other = model(), model(1)
    tuned = {name: tensor + 0.01 * tensor.std() * torch.randn_like(tensor) for name, tensor in found["vae"].items()}
    changed = {"conv.weight": found["denoiser"]["conv.weight"].index_fill(0, torch.tensor([500]), 7.0)}
    models = [found, {**found, "vae": other["vae"]}, {**found, "vae": tuned}, {**found, "denoiser": changed}]
    assert len({fingerprint(each) for each in models}) == len(models)


def test_a_fingerprint_that_is_known_is_taken(tiny_base_file: Path) -> None:
    assert load_base(tiny_base_file, known_fingerprint="f" * 64).fingerprint == "f" * 64
    assert load_base(tiny_base_file).fingerprint == fingerprint_of(tiny_base_file)

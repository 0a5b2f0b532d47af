"""int8 storage: small, close, and what the repository holds is complete."""

from __future__ import annotations

import torch

from dreambooth_nodes.toybase.denoiser import new_denoiser
from dreambooth_nodes.toybase.narrow_vae import new_vae
from dreambooth_nodes.toybase.quantize import PARTS, WEIGHTS, load_stored, pack, unpack


def test_packing_keeps_weights_within_a_percent() -> None:
    torch.manual_seed(0)
    weights = {"a.weight": torch.randn(64, 300), "b.weight": torch.randn(8, 4, 3, 3) * 1e-3, "b.bias": torch.randn(8)}
    packed = pack(weights)
    assert packed["a.weight"].dtype == torch.int8 and packed["b.bias"].dtype == torch.float16
    for name, value in unpack(packed).items():
        assert (value - weights[name]).norm() < 0.01 * weights[name].norm()


def test_a_zero_row_stays_zero() -> None:
    assert unpack(pack({"a.weight": torch.zeros(3, 5)}))["a.weight"].abs().max() == 0


def test_stored_weights_fit_the_models_and_40_megabytes() -> None:
    for part, model in (("denoiser", new_denoiser()), ("vae", new_vae())):
        weights = load_stored(part)
        model.load_state_dict(weights)
        assert all(value.isfinite().all() for value in weights.values())
    assert sum((WEIGHTS / f"{part}.safetensors").stat().st_size for part in PARTS) <= 40_000_000

"""The size of a LoRA's change of one layer, W + s·B·A."""

from __future__ import annotations

from torch import Tensor


def squared_product(down: Tensor, up: Tensor, scale: float) -> Tensor:
    """‖s·B·A‖² of A [r, in, ...] and B [out, r, ...], as s²·Σ (BᵀB)∘(AAᵀ), which is r x r."""
    a, b = down.float().flatten(1), up.float().flatten(1)
    return scale**2 * ((b.T @ b) * (a @ a.T)).sum()


def squared_factors(down: Tensor, up: Tensor, scale: float) -> Tensor:
    """‖A‖² + ‖B‖², whatever their product's scale s."""
    return down.float().square().sum() + up.float().square().sum()

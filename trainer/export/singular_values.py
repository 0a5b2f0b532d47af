"""Singular values of a LoRA's update, from its thin factors, and what a rank leaves out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..methods.lora.weights import LoraLayer

NOTHING = 1e-6
"""A singular value of this part of the largest is rounding: float32 and the products of fp16 factors have no more."""


def weighted_sum(parts: Sequence[tuple[LoraLayer, float]]) -> tuple[Tensor, Tensor]:
    """(up [out, Σr], down [Σr, in·k·k]) in float64, whose product is Σ strength·(alpha/rank)·up·down of these layers.

    parts: (LoRA of the same weight, strength).
    """
    ups = [strength * layer.alpha / layer.rank * layer.up.double().flatten(1) for layer, strength in parts]
    return torch.cat(ups, 1), torch.cat([layer.down.double().flatten(1) for layer, _ in parts])


def decomposed(up: Tensor, down: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(U [out, r], σ [r] falling, Vᵀ [r, in·k·k]) of up·down, by way of a core that is as small as the rank."""
    (q1, r1), (q2, r2) = torch.linalg.qr(up), torch.linalg.qr(down.T)
    u, values, vh = torch.linalg.svd(r1 @ r2.T, full_matrices=False)
    return q1 @ u, values, vh @ q2.T


def norm(up: Tensor, down: Tensor) -> float:
    """‖up·down‖, the Frobenius norm."""
    r1, r2 = torch.linalg.qr(up, mode="r")[1], torch.linalg.qr(down.T, mode="r")[1]
    return float(torch.linalg.matrix_norm(r1 @ r2.T))


def approximated(
    parts: Sequence[tuple[LoraLayer, float]], rank: int | None, dtype: torch.dtype
) -> tuple[LoraLayer, Tensor]:
    """(the LoRA of at most this rank nearest to the sum of these, with alpha = rank; the sum's singular values).

    rank: None for as many as the sum has. Both matrices get the square roots of the singular values, so that fp16 can
    represent small ones. The LoRA of a sum of zero has rank 1.
    """
    u, values, vh = decomposed(*weighted_sum(parts))
    own = max(int((values > NOTHING * values[0]).sum()), 1)
    kept, roots = min(own, rank or own), values.sqrt()
    out, _, *ones = parts[0][0].up.shape
    down = (roots[:kept, None] * vh[:kept]).reshape(kept, *parts[0][0].down.shape[1:])
    up = (u[:, :kept] * roots[:kept]).reshape(out, kept, *ones)
    return LoraLayer(down.to(dtype), up.to(dtype), float(kept)), values


def distance(parts: Sequence[tuple[LoraLayer, float]], layer: LoraLayer) -> float:
    """‖Σ strength·ΔW − ΔW of `layer`‖, in float64."""
    return norm(*weighted_sum([*parts, (layer, -1.0)]))


def errors_by_rank(values: Iterable[Tensor]) -> dict[int, float]:
    """{rank: ‖ΔW − its best approximation of that rank‖ / ‖ΔW‖} over all layers, for powers of two up to the first
    that loses nothing. values: the singular values of each layer, falling.
    """
    squares = [one.double().square() for one in values]
    whole, ranks = sum(float(one.sum()) for one in squares), max((len(one) for one in squares), default=0)
    found: dict[int, float] = {}
    for rank in (2**power for power in range(max(ranks, 1).bit_length() + 1)):
        found[rank] = math.sqrt(sum(float(one[rank:].sum()) for one in squares) / whole) if whole else 0.0
        if found[rank] < NOTHING:
            break
    return found

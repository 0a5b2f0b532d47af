"""LoRA extraction from a full fine-tuning: the truncated singular value decomposition of W_trained − W_base."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..methods.lora.weights import LoraLayer, LoraWeights
from ..model.keys import Components
from ..model.layers import Layers, Place
from ..model.source import Source
from .low_rank_error import LayerError, LowRankError


def extract_lora(
    trained: Source, base: Source, layers: Layers, rank: int, dtype: torch.dtype = torch.float16
) -> tuple[LoraWeights, LowRankError]:
    """The LoRA of this rank that best approximates the change from `base` to `trained`, and its error.

    layers: the base's. Unchanged layers get no LoRA. dtype: of the LoRA's matrices; the error includes the rounding to
    it.
    """
    found: dict[str, dict[str, LoraLayer]] = {}
    errors: list[LayerError] = []
    left_out: dict[str, float] = {}
    for component, name, change in _changes(trained, base, layers):
        place: Place = component, name.removesuffix(".weight")
        if place not in layers.places or not name.endswith(".weight"):
            left_out[f"{component}: {name}"] = change.double().square().sum().item()
            continue
        layer, values = truncated(change, rank, dtype)
        apart = (change.flatten(1) - layer.change()).double().norm().item()
        errors.append(LayerError(f"{component}: {place[1]}", values, apart))
        found.setdefault(component, {})[place[1]] = layer
    return found, LowRankError.of(rank, errors, left_out)


def truncated(change: Tensor, rank: int, dtype: torch.dtype = torch.float32) -> tuple[LoraLayer, Tensor]:
    """(the LoRA of this rank that best approximates a change [out, in] or [out, in, k, k], with alpha = rank; the
    change's singular values, falling): Eckart and Young, 1936.

    The singular vectors are eigenvectors of the smaller Gram matrix, in float64, which is much faster than a full
    singular value decomposition and as accurate. Both matrices get the square roots of the singular values, so that
    fp16 can represent small ones.
    """
    flat = change.flatten(1).double()
    wide = flat if flat.shape[0] <= flat.shape[1] else flat.T
    kept = min(rank, wide.shape[0])
    squares, vectors = torch.linalg.eigh(wide @ wide.T)
    left = vectors[:, -kept:]
    roots = squares[-kept:].clamp(min=0).sqrt().sqrt()
    share = torch.where(roots > 0, 1 / roots, 0)
    halves = left * roots, share[:, None] * (left.T @ wide)
    up, down = halves if wide is flat else (halves[1].T, halves[0].T)
    ones = (1,) * (change.ndim - 2)
    shaped = down.reshape(kept, *change.shape[1:]), up.reshape(change.shape[0], kept, *ones)
    layer = LoraLayer(shaped[0].to(dtype), shaped[1].to(dtype), float(kept)).padded(rank)
    return layer, squares.clamp(min=0).sqrt().flip(0)


def _changes(trained: Source, base: Source, layers: Layers) -> Iterator[tuple[str, str, Tensor]]:
    """(component, our name of a weight, W_trained − W_base in float32) of every weight that differs."""
    for component in layers.family.kohya:
        before, after = (Components(source, layers.tables)[component] for source in (base, trained))
        for name in sorted(before.keys() & after.keys()):
            change = after[name].float() - before[name].float()
            if torch.count_nonzero(change):
                yield component, name, change

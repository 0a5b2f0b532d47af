"""LoRA extraction from a full fine-tuning: the truncated singular value decomposition of W_trained − W_base."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..methods.lora.weights import LoraLayer, LoraWeights
from ..model.keys import Components
from ..model.layers import Layers, Place
from ..model.source import Source


@dataclass
class LowRankError:
    """The approximation error of a LoRA of `rank`: ‖change − LoRA‖ / ‖change‖, in Frobenius norms.

    error: over all layers. worst_layer, worst_error: the layer with the greatest error. left_out: the share of
    ‖change‖² that is in weights which no LoRA can change: norms, biases and token embeddings. left_out_weights: their
    names.
    """

    rank: int
    error: float = 0.0
    worst_layer: str = ""
    worst_error: float = 0.0
    left_out: float = 0.0
    left_out_weights: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"rank {self.rank}: relative error {self.error:.2%}, worst {self.worst_error:.2%} in "
            f"{self.worst_layer or 'no layer'}; {len(self.left_out_weights)} norms, biases and embeddings with "
            f"{self.left_out:.2%} of the squared change left out"
        )


def low_rank(
    trained: Source, base: Source, layers: Layers, rank: int, dtype: torch.dtype = torch.float16
) -> tuple[LoraWeights, LowRankError]:
    """The LoRA of this rank that best approximates the change from `base` to `trained`, and its error.

    layers: of the base. Unchanged layers get no LoRA. dtype: of the LoRA's matrices; the error includes its rounding.
    """
    found: dict[str, dict[str, LoraLayer]] = {}
    report, held, missed, left = LowRankError(rank), 0.0, 0.0, 0.0
    for component, name, change in _changes(trained, base, layers):
        place: Place = component, name.removesuffix(".weight")
        size = change.double().square().sum().item()
        if place not in layers.places or not name.endswith(".weight"):
            report.left_out_weights.append(f"{component}: {name}")
            left += size
            continue
        layer = truncated(change, rank, dtype)
        apart = (change.flatten(1) - layer.change()).double().square().sum().item()
        if math.sqrt(apart / size) > report.worst_error:
            report.worst_layer, report.worst_error = place[1], math.sqrt(apart / size)
        held, missed = held + size, missed + apart
        found.setdefault(component, {})[place[1]] = layer
    report.error = math.sqrt(missed / held) if held else 0.0
    report.left_out = left / (held + left) if left else 0.0
    return found, report


def truncated(change: Tensor, rank: int, dtype: torch.dtype = torch.float32) -> LoraLayer:
    """The LoRA of this rank that best approximates a change [out, in] or [out, in, k, k] (Eckart and Young, 1936), with
    alpha = rank.

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
    return LoraLayer(shaped[0].to(dtype), shaped[1].to(dtype), float(kept)).padded(rank)


def _changes(trained: Source, base: Source, layers: Layers) -> Iterator[tuple[str, str, Tensor]]:
    """(component, our name of a weight, W_trained − W_base in float32) of every weight that differs."""
    for component in layers.family.kohya:
        before, after = (Components(source, layers.tables)[component] for source in (base, trained))
        for name in sorted(before.keys() & after.keys()):
            change = after[name].float() - before[name].float()
            if torch.count_nonzero(change):
                yield component, name, change

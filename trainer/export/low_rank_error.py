"""How far a LoRA is from the change of weights that it approximates, as a whole, by layer and by rank."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from .singular_values import errors_by_rank

SHOWN = 5
"""The layers with the greatest errors that a text names."""


@dataclass(frozen=True)
class LayerError:
    """Of one layer. name: "component: layer". values: the singular values of its change, falling. apart:
    ‖change − LoRA‖, with the rounding of the LoRA's numbers.
    """

    name: str
    values: Tensor
    apart: float

    @property
    def size(self) -> float:
        """‖change‖."""
        return float(self.values.double().norm())

    @property
    def relative(self) -> float:
        """‖change − LoRA‖ / ‖change‖."""
        return self.apart / self.size if self.size else 0.0


@dataclass(frozen=True)
class LowRankError:
    """The approximation error of a LoRA of `rank`: ‖change − LoRA‖ / ‖change‖, in Frobenius norms.

    error: over all layers. worst_layer, worst_error: the layer with the greatest error. by_rank: {rank: the least error
    that it allows}, for powers of two up to the first that loses nothing. by_layer: {layer: its error}, the greatest
    first. left_out: the share of ‖change‖² that is in weights which no LoRA can change: norms, biases and token
    embeddings. left_out_weights: their names.
    """

    rank: int
    error: float = 0.0
    worst_layer: str = ""
    worst_error: float = 0.0
    left_out: float = 0.0
    left_out_weights: list[str] = field(default_factory=list)
    by_rank: dict[int, float] = field(default_factory=dict)
    by_layer: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, rank: int, layers: Sequence[LayerError], left_out: Mapping[str, float]) -> LowRankError:
        """The error of these layers. left_out: {weight that no LoRA can change: ‖change‖²}."""
        ordered = sorted(layers, key=lambda layer: -layer.relative)
        held, left = sum(layer.size**2 for layer in layers), sum(left_out.values())
        worst = ordered[0] if ordered and ordered[0].relative else None
        return cls(
            rank=rank,
            error=math.sqrt(sum(layer.apart**2 for layer in layers) / held) if held else 0.0,
            worst_layer="" if worst is None else worst.name.partition(": ")[2],
            worst_error=0.0 if worst is None else worst.relative,
            left_out=left / (held + left) if left else 0.0,
            left_out_weights=list(left_out),
            by_rank=errors_by_rank(layer.values for layer in layers),
            by_layer={layer.name: layer.relative for layer in ordered},
        )

    def __str__(self) -> str:
        return f"{self.summary}; {self._left_out}"

    @property
    def summary(self) -> str:
        """Rank and error, in one line."""
        return (
            f"rank {self.rank}: relative error {self.error:.2%}, worst {self.worst_error:.2%} in "
            f"{self.worst_layer or 'no layer'}"
        )

    @property
    def details(self) -> tuple[str, ...]:
        """The errors by rank and by layer, one line each."""
        ranks = ", ".join(f"{rank}: {error:.2%}" for rank, error in self.by_rank.items())
        layers = list(self.by_layer.items())[:SHOWN]
        return (
            f"least error by rank: {ranks}",
            f"greatest error by layer: {', '.join(f'{name} {error:.2%}' for name, error in layers)}",
        )

    @property
    def _left_out(self) -> str:
        """What no LoRA can change."""
        return (
            f"{len(self.left_out_weights)} norms, biases and embeddings with {self.left_out:.2%} of the squared change "
            "left out"
        )

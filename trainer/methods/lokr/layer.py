"""A LoKr in memory, by LyCORIS's definition: W + s·(w1 ⊗ w2), where w2 may be a product of two matrices."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor

from ...files.lazy_tensors import finite


def factored(size: int, factor: int) -> tuple[int, int]:
    """(m, n) with m·n = size and m ≤ n: m is `factor` where that divides the size, else the greatest divisor up to it.
    factor: 0 for any, which makes m and n as equal as they can be.
    """
    if factor and size % factor == 0:
        return min(factor, size // factor), max(factor, size // factor)
    small = next(m for m in range(min(factor or size, isqrt(size)), 0, -1) if size % m == 0)
    return small, size // small


@dataclass(frozen=True)
class LokrLayer:
    """One layer's LoKr. w1: [out₁, in₁]. w2: [out₂, in₂ …], or its halves: [out₂, rank] and [rank, in₂·k·k].

    alpha: s is alpha / rank; 1 where w2 is whole, which has no rank.
    """

    w1: Tensor
    w2: tuple[Tensor] | tuple[Tensor, Tensor]
    alpha: float

    @property
    def rank(self) -> int | None:
        """The rank of w2; None where it is whole."""
        return self.w2[1].shape[0] if len(self.w2) == 2 else None

    @property
    def names_of_w2(self) -> tuple[str, ...]:
        """LyCORIS's names of w2 or of its halves."""
        return ("lokr_w2",) if len(self.w2) == 1 else ("lokr_w2_a", "lokr_w2_b")

    @property
    def scale(self) -> float:
        """s."""
        return 1.0 if self.rank is None else self.alpha / self.rank

    def change(self) -> Tensor:
        """s·(w1 ⊗ w2) in float32, flattened to [out, in·k·k]."""
        whole = self.w2[0].float() if len(self.w2) == 1 else self.w2[0].float() @ self.w2[1].float()
        return self.scale * torch.kron(self.w1.float(), whole.flatten(1))

    def merged(self, weight: Tensor, strength: float = 1.0) -> Tensor:
        """The weight with the update at a strength, in float32."""
        return weight.float() + strength * self.change().reshape(weight.shape)

    def kohya_tensors(self, name: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """{LyCORIS's key: tensor}. name: of the layer in kohya's files."""
        parts = {"lokr_w1": self.w1, **dict(zip(self.names_of_w2, self.w2, strict=True))}
        tensors = {f"{name}.{part}": finite(tensor.to(dtype), f"{name}.{part}") for part, tensor in parts.items()}
        return {**tensors, f"{name}.alpha": torch.tensor(self.alpha)}

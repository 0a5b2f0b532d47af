"""The frozen auxiliary matrices of a LiDB: random, orthonormal, and a function of a seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from ...randomness import generator

A_SIZE, B_SIZE = 100, 50
"""a and b of HyperDreamBooth, section 4.1: the numbers that are trained of a layer's output and input side."""
Place = tuple[str, str]
"""(component, our name of a layer)."""


def sizes(weight: Sequence[int]) -> tuple[int, int]:
    """(a, b) of a weight of this shape: A_SIZE and B_SIZE, or the whole side where it is shorter."""
    return min(A_SIZE, weight[0]), min(B_SIZE, prod(weight[1:]))


@dataclass(frozen=True)
class Auxiliary:
    """The frozen matrices of one layer, in float32. left: A_aux [out, a], of orthonormal columns. right: B_aux
    [b, in·k·k], of orthonormal rows. weight: the shape of the layer's weight.
    """

    seed: int
    left: Tensor
    right: Tensor
    weight: tuple[int, ...]

    @classmethod
    def of(cls, seed: int, place: Place, weight: Sequence[int], device: torch.device | None = None) -> Auxiliary:
        """Those of a layer, computed on the CPU whatever the device; on the meta device by shape alone."""
        (a, b), (out, inputs) = sizes(weight), (weight[0], prod(weight[1:]))
        if device is not None and device.type == "meta":
            left, right = torch.empty(out, a, device=device), torch.empty(b, inputs, device=device)
        else:
            name = ".".join(place)
            left = orthonormal(generator(seed, f"lidb.{name}.left", 0), out, a).float().to(device)
            right = orthonormal(generator(seed, f"lidb.{name}.right", 0), inputs, b).T.float().contiguous().to(device)
        return cls(seed, left, right, tuple(weight))


def orthonormal(source: torch.Generator, rows: int, columns: int) -> Tensor:
    """A random matrix [rows, columns] of orthonormal columns in float64, where rows ≥ columns; uniformly distributed.

    The Q of a Gaussian matrix's QR decomposition whose R has a positive diagonal, which is the only one (Mezzadri,
    2007): so it is the same with every version of torch and LAPACK, within rounding.
    """
    q, r = torch.linalg.qr(torch.randn(rows, columns, generator=source, dtype=torch.float64))
    found: Tensor = q * r.diagonal().sign()
    return found

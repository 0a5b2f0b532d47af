"""A LiDB in memory: W + A_aux·A·B·B_aux, of which A and B are trained (HyperDreamBooth, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..lora.weights import LoraLayer
from .auxiliary import Auxiliary

CLOSE = 2e-3
"""The greatest part of a LoRA's matrix outside the subspaces, of its norm: float16 rounds to about 5e-4."""


@dataclass(frozen=True)
class LidbLayer:
    """One layer's LiDB. a: A [a]. b: B [b]. auxiliary: A_aux and B_aux."""

    a: Tensor
    b: Tensor
    auxiliary: Auxiliary

    @classmethod
    def from_lora(cls, lora: LoraLayer, auxiliary: Auxiliary) -> LidbLayer | None:
        """The LiDB that a LoRA was written from; None where the LoRA's rank is not 1, or its matrices are not in the
        subspaces of `auxiliary` (see CLOSE).
        """
        if lora.rank != 1:
            return None
        up, down = lora.alpha * lora.up.float().flatten(), lora.down.float().flatten()
        found = cls(auxiliary.left.T @ up, auxiliary.right @ down, auxiliary)
        apart = (up - auxiliary.left @ found.a).norm(), (down - found.b @ auxiliary.right).norm()
        return found if apart[0] <= CLOSE * up.norm() and apart[1] <= CLOSE * down.norm() else None

    def lora(self) -> LoraLayer:
        """The rank-1 LoRA with the same update: up is A_aux·A and down is B·B_aux."""
        out, inputs, *kernel = self.auxiliary.weight
        up, down = self.auxiliary.left @ self.a.float(), self.b.float() @ self.auxiliary.right
        return LoraLayer(down.view(1, inputs, *kernel), up.view(out, 1, *(1 for _ in kernel)), 1.0)

    def merged(self, weight: Tensor, strength: float = 1.0) -> Tensor:
        """The weight with the update at a strength, in float32."""
        return self.lora().merged(weight, strength)

    def kohya_tensors(self, name: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """{kohya's key: tensor} of the rank-1 LoRA. name: of the layer in kohya's files."""
        return self.lora().kohya_tensors(name, dtype)

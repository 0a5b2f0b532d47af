"""The layers with a LiDB beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layer_adapter import UpdatedLayer
from .auxiliary import Auxiliary
from .layer import LidbLayer


class LidbUpdated(UpdatedLayer[LidbLayer]):
    """A frozen linear layer or convolution with a LiDB. lidb_a, lidb_b: see `LidbLayer`, trained in float32. left,
    right: see `Auxiliary`, frozen.
    """

    left: Tensor
    right: Tensor

    def __init__(self, base_layer: nn.Linear | nn.Conv2d, auxiliary: Auxiliary) -> None:
        """A LiDB of zeros."""
        super().__init__(base_layer)
        self.seed, self.scale, device = auxiliary.seed, 1.0, base_layer.weight.device
        self.shape = auxiliary.weight
        self.lidb_a = nn.Parameter(torch.zeros(auxiliary.left.shape[1], device=device))
        self.lidb_b = nn.Parameter(torch.zeros(auxiliary.right.shape[0], device=device))
        # They follow from the seed.
        self.register_buffer("left", auxiliary.left, persistent=False)
        self.register_buffer("right", auxiliary.right, persistent=False)

    def layer(self, tensors: Mapping[str, Tensor]) -> LidbLayer:
        """The LiDB of these trained tensors {"lidb_a": …, "lidb_b": …}."""
        a, b = tensors["lidb_a"], tensors["lidb_b"]
        return LidbLayer(a, b, Auxiliary(self.seed, self.left.to(a.device), self.right.to(b.device), self.shape))

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The layer's output with its update's."""
        answer: Tensor = self.base_layer(x, *args, **kwargs)
        if not self.scale:
            return answer
        with torch.autocast(x.device.type, enabled=False):
            lora = self.layer({"lidb_a": self.lidb_a, "lidb_b": self.lidb_b}).lora()
        layer: Any = self.base_layer
        if not isinstance(layer, nn.Conv2d):
            return answer + self.scale * F.linear(F.linear(x, lora.down), lora.up)
        how: Any = (None, layer.stride, layer.padding, layer.dilation)
        return answer + self.scale * F.conv2d(F.conv2d(x, lora.down, *how), lora.up)

    def squared_factors(self) -> Tensor:
        """‖A‖² + ‖B‖²."""
        return self.lidb_a.square().sum() + self.lidb_b.square().sum()

    def squared_change(self) -> Tensor:
        """‖A_aux·A·B·B_aux‖² = ‖A‖²·‖B‖², because A_aux and B_aux are orthonormal."""
        return self.lidb_a.square().sum() * self.lidb_b.square().sum()

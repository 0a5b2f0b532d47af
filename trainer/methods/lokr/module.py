"""The layers with a LoKr beside them: s·(w1 ⊗ w2)·x as two small products, without the weight that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layer_adapter import UpdatedLayer
from .layer import LokrLayer, factored


def new_shapes(weight: Sequence[int], rank: int, factor: int) -> dict[str, tuple[int, ...]]:
    """{name: shape} of the matrices of a LoKr for a weight of this shape. By LyCORIS's rule a rank of half a side or
    more makes w2 whole. factor: see `factored`.
    """
    out, into, *kernel = weight
    (out1, out2), (in1, in2) = factored(out, factor), factored(into, factor)
    if rank >= max(out2, in2) / 2:
        return {"lokr_w1": (out1, in1), "lokr_w2": (out2, in2, *kernel)}
    return {"lokr_w1": (out1, in1), "lokr_w2_a": (out2, rank), "lokr_w2_b": (rank, in2 * prod(kernel))}


class LokrUpdated(UpdatedLayer[LokrLayer]):
    """A frozen linear layer or convolution with a LoKr. lokr_w1, lokr_w2, or lokr_w2_a and lokr_w2_b: see `LokrLayer`,
    in float32. scale: s, 0 where the update is switched off.
    """

    lokr_w1: nn.Parameter

    def __init__(self, base_layer: nn.Linear | nn.Conv2d, shapes: Mapping[str, tuple[int, ...]], alpha: float) -> None:
        """shapes: {name of a trained matrix: its shape} (see `new_shapes`); all are zero. alpha: see `LokrLayer`."""
        super().__init__(base_layer)
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape, device=base_layer.weight.device)))
        self.alpha = alpha
        self.scale = self.layer(dict(self.named_parameters(recurse=False))).scale

    @property
    def seconds(self) -> tuple[nn.Parameter, ...]:
        """w2, or its two halves."""
        return tuple(p for name, p in self.named_parameters(recurse=False) if name.startswith("lokr_w2"))

    def layer(self, tensors: Mapping[str, Tensor]) -> LokrLayer:
        """The LoKr of these trained tensors {"lokr_w1": …}."""
        second: Any = tuple(tensors[name] for name in ("lokr_w2", "lokr_w2_a", "lokr_w2_b") if name in tensors)
        return LokrLayer(tensors["lokr_w1"], second, self.alpha)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The layer's output with its update's."""
        answer: Tensor = self.base_layer(x, *args, **kwargs)
        if not self.scale:
            return answer
        update = self._convolved(x) if isinstance(self.base_layer, nn.Conv2d) else self._multiplied(x)
        return answer + self.scale * update

    def _multiplied(self, x: Tensor) -> Tensor:
        """(w1 ⊗ w2)·x of a linear layer: […, in] → […, out]."""
        parts = x.unflatten(-1, (self.lokr_w1.shape[1], -1))
        for second in reversed(self.seconds):
            parts = F.linear(parts, second)
        return F.linear(parts.transpose(-1, -2), self.lokr_w1).transpose(-1, -2).flatten(-2)

    def _convolved(self, x: Tensor) -> Tensor:
        """(w1 ⊗ w2)·x of a convolution: [B, in, H, W] → [B, out, h, w]."""
        parts = x.unflatten(1, (self.lokr_w1.shape[1], -1)).flatten(0, 1)
        first = self.seconds[-1].view(-1, parts.shape[1], *self.base_layer.kernel_size)
        how = (None, self.base_layer.stride, self.base_layer.padding, self.base_layer.dilation)
        parts = F.conv2d(parts, first, *how)
        if len(self.seconds) == 2:
            parts = F.conv2d(parts, self.seconds[0][..., None, None])
        parts = parts.unflatten(0, (len(x), -1)).movedim(1, -1)
        return F.linear(parts, self.lokr_w1).movedim(-1, 1).flatten(1, 2)

    def squared_factors(self) -> Tensor:
        """‖w1‖² + ‖w2‖², or that of w2's halves."""
        return torch.stack([p.float().square().sum() for p in (self.lokr_w1, *self.seconds)]).sum()

    def squared_change(self) -> Tensor:
        """s²·‖w1 ⊗ w2‖² = s²·‖w1‖²·‖w2‖²."""
        first, *rest = self.seconds
        whole = first @ rest[0] if rest else first
        return self.scale**2 * self.lokr_w1.float().square().sum() * whole.float().square().sum()

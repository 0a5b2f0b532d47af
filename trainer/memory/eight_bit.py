"""Frozen weights in 8 bits, half the size of bf16, which are dequantised to the forward's dtype wherever they are used.

A weight W [out, …] is stored as q = round(W / s) in -127..127 with one scale s = max|W| / 127 per output channel, so
that no weight is off by more than s/2: about 1% of a layer's output, where bf16 rounds to 0.2%.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

LEAST = 2**16
"""The number of weights from which a layer is quantised. Smaller layers, the first and the last among them, take little
memory.
"""


def quantise(module: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Replace every large enough frozen linear layer and convolution of `module` by its 8-bit version on `device`.

    No more than one layer at a time is there in its former dtype. dtype: in which the layers compute.
    """
    for name, layer in list(module.named_modules()):
        if _is_plain(layer) and layer.weight.numel() >= LEAST and not layer.weight.requires_grad:
            parent, _, own = name.rpartition(".")
            kind = EightBitLinear if isinstance(layer, nn.Linear) else EightBitConv2d
            setattr(module.get_submodule(parent), own, kind(layer.to(device), dtype))


class EightBitLinear(nn.Linear):
    """A frozen linear layer in 8 bits. weight: int8 [out, in]; scale: [out, 1], in the dtype of the forward."""

    scale: Tensor

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__(layer.in_features, layer.out_features, bias=False, device="meta")
        _fill(self, layer, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output: […, in] → […, out]."""
        answer: Tensor = _Linear.apply(x.to(self.scale.dtype), self.weight, self.scale, self.bias)
        return answer


class EightBitConv2d(nn.Conv2d):
    """A frozen convolution in 8 bits. weight: int8 [out, in, kh, kw]; scale: [out, 1, 1, 1], in the dtype of the
    forward.
    """

    scale: Tensor

    def __init__(self, layer: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__(1, 1, 1, bias=False, device="meta")
        # A convolution's own attributes: channels, stride, padding and the rest.
        self.__dict__.update({name: value for name, value in vars(layer).items() if not name.startswith("_")})
        _fill(self, layer, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output: [B, in, H, W] → [B, out, h, w]."""
        how = (self.stride, self.padding, self.dilation, self.groups)
        answer: Tensor = _Convolution.apply(x.to(self.scale.dtype), self.weight, self.scale, self.bias, how)
        return answer


class _Linear(torch.autograd.Function):
    """F.linear with 8-bit weights; it saves these for the backward pass, and not the dequantised ones."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight, scale)
        return F.linear(x, restored(weight, scale), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, scale = ctx.saved_tensors
        return gradients[0].to(scale.dtype) @ restored(weight, scale), None, None, None


class _Convolution(torch.autograd.Function):
    """F.conv2d with 8-bit weights, which it saves as `_Linear` does. how: stride, padding, dilation, groups."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None, how: Any) -> Tensor:
        ctx.save_for_backward(weight, scale)
        ctx.shape, ctx.how = x.shape, how
        return F.conv2d(x, restored(weight, scale), bias, *how)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, scale = ctx.saved_tensors
        gradient = gradients[0].to(scale.dtype)
        back = conv2d_input(ctx.shape, restored(weight, scale), gradient, *ctx.how)
        return back, None, None, None, None


def restored(weight: Tensor, scale: Tensor) -> Tensor:
    """The dequantised weights, in the scale's dtype."""
    return weight.to(scale.dtype).mul_(scale)


def _is_plain(layer: nn.Module) -> bool:
    """Whether a layer is of exactly the classes that have an 8-bit version."""
    return type(layer) is nn.Linear or (type(layer) is nn.Conv2d and layer.padding_mode == "zeros")


@torch.no_grad()
def _fill(into: nn.Linear | nn.Conv2d, layer: nn.Linear | nn.Conv2d, dtype: torch.dtype) -> None:
    """Quantise the weights of `layer` into the 8-bit layer `into`. dtype: of the forward."""
    weight = layer.weight.float()
    dims = tuple(range(1, weight.ndim))
    # The scale is rounded to bf16 before the division, so that it is the same number in every dtype of the forward.
    scale = (weight.abs().amax(dims, keepdim=True) / 127).clamp(min=1e-30).bfloat16().float()
    whole = (weight / scale).round_().clamp_(-127, 127).to(torch.int8)
    into.weight = nn.Parameter(whole, requires_grad=False)
    into.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().to(dtype), requires_grad=False)
    into.register_buffer("scale", scale.to(dtype))
    into.train(layer.training)

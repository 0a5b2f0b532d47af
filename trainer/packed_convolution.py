"""A frozen convolution in bf16 on a CPU, its weights laid out once as its kernels read them; torch does so every time.

oneDNN's own order, for the forward pass and for the gradient of the input. The answers are the convolution's. Not in
float32: there oneDNN lays weights out for another kernel than it then takes, and reorders them by a slow one at every
call (figures: bench/README.md).
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

ONE_DNN: Any = torch.ops.mkldnn
PLAIN: tuple[str, list[float], str] = ("none", [], "")
"""No activation after the product, in oneDNN's operations."""


def pack(layer: nn.Module) -> None:
    """Let a frozen, plain convolution in bf16 answer by packed weights from now on; any other layer stays as it is."""
    frozen = not any(parameter.requires_grad for parameter in layer.parameters(recurse=False))
    if type(layer) is nn.Conv2d and frozen and layer.weight.dtype == torch.bfloat16 and _is_plain(layer) and _packs():
        # Set as an attribute: it stands before the class's own.
        vars(layer)["forward"] = partial(_answer, PackedConvolution(layer))


class PackedConvolution:
    """One of stride 1; with its weights turned round it gives its input's gradient."""

    def __init__(self, layer: nn.Conv2d) -> None:
        weight = layer.weight.detach().contiguous()
        turned = weight.flip(2, 3).transpose(0, 1).contiguous()
        self.dtype = weight.dtype
        self._places = ([*layer.padding], [1, 1], [1, 1], 1)
        """Padding, stride, dilation, groups."""
        self._bias = None if layer.bias is None else layer.bias.detach()
        self._weight = ONE_DNN._reorder_convolution_weight(weight, *self._places)
        self._turned = ONE_DNN._reorder_convolution_weight(turned, *self._places)

    def answer(self, shown: Tensor) -> Tensor:
        """[B, in, H, W] → [B, out, H, W]."""
        return self._convolved(shown, self._weight, self._bias)

    def gradient(self, told: Tensor) -> Tensor:
        """[B, out, H, W] → [B, in, H, W]."""
        return self._convolved(told, self._turned, None)

    def _convolved(self, shown: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        answer: Tensor = ONE_DNN._convolution_pointwise(shown, weight, bias, *self._places, *PLAIN)
        # It comes channels last, which what follows is slower with.
        return answer.contiguous()


def _answer(packed: PackedConvolution, shown: Tensor) -> Any:
    return _Convolution.apply(shown.to(packed.dtype), packed)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, shown: Tensor, packed: PackedConvolution) -> Tensor:
        context.packed = packed
        return packed.answer(shown)

    @staticmethod
    def backward(context: Any, told: Tensor) -> tuple[Tensor, None]:
        return context.packed.gradient(told), None


def _is_plain(layer: nn.Conv2d) -> bool:
    same = layer.kernel_size in ((1, 1), (3, 3)) and layer.padding == tuple(side // 2 for side in layer.kernel_size)
    return same and layer.stride == layer.dilation == (1, 1) and layer.groups == 1 and layer.padding_mode == "zeros"


@cache
def _packs() -> bool:
    """Whether this torch has these operations, on this processor: they are tried."""
    try:
        PackedConvolution(nn.Conv2d(2, 2, 1).bfloat16()).answer(torch.zeros(1, 2, 2, 2, dtype=torch.bfloat16))
    except (AttributeError, RuntimeError):
        return False
    return True

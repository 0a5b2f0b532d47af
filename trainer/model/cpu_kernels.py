"""Frozen convolutions on a CPU whose weights are packed once into oneDNN's layout; torch packs them at every call.

The packed layout serves the forward pass and the gradient of the input. In bf16 one layout serves all input sizes, and
outputs equal the convolution's bit for bit. In float32 a kernel is chosen by the input's size, and weights packed for
another kernel are reordered at every call by slow code: so they are packed for the sizes of the run only, and outputs
differ by rounding (figures: bench/README.md).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache, partial
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

ONE_DNN: Any = torch.ops.mkldnn
"""Torch's namespace of oneDNN (formerly MKL-DNN) operations."""
PLAIN: tuple[str, list[float], str] = ("none", [], "")
"""oneDNN's arguments for no activation after the convolution."""
Size = tuple[int, int]
"""Height and width of an input."""
_autocasts: Any = (
    # The function has another name in torch 2.3.
    partial(torch.is_autocast_enabled, "cpu") if hasattr(torch, "get_autocast_dtype") else torch.is_autocast_cpu_enabled
)
"""A function: whether autocast is enabled on the CPU."""


def pack(layer: nn.Module, sizes: Collection[Size]) -> None:
    """Replace the forward of a frozen, plain convolution by one with packed weights; any other layer is left unchanged.

    sizes: the input sizes that it is packed for in float32. For any other size the layer's own forward runs, and so it
    does for 1 x 1 convolutions, which packing makes no faster.
    """
    frozen = not any(parameter.requires_grad for parameter in layer.parameters(recurse=False))
    if type(layer) is not nn.Conv2d or not frozen or not _is_plain(layer):
        return
    # An instance attribute takes precedence over the class's method.
    if layer.weight.dtype == torch.bfloat16 and _packs(torch.bfloat16):
        vars(layer)["forward"] = partial(_forward, PackedConvolution(layer))
    elif layer.weight.dtype == torch.float32 and layer.kernel_size == (3, 3) and _packs(torch.float32):
        vars(layer)["forward"] = partial(_forward_by_size, layer, {}, frozenset(sizes))


class PackedConvolution:
    """A convolution of stride 1 whose weights are in oneDNN's own layout. Its input gradient is a convolution with the
    weights flipped.

    size: height and width of the input, needed in float32 only.
    """

    def __init__(self, layer: nn.Conv2d, size: Size | None = None) -> None:
        """layer: of stride 1, with a frozen weight, which is copied into oneDNN's layout for this input size."""
        weight = layer.weight.detach().contiguous()
        turned = weight.flip(2, 3).transpose(0, 1).contiguous()
        self.dtype = weight.dtype
        self._places = ([*layer.padding], [1, 1], [1, 1], 1)
        """Padding, stride, dilation, groups."""
        self._bias = None if layer.bias is None else layer.bias.detach()
        self._weight, self._turned = (self._packed(each, size) for each in (weight, turned))

    def _packed(self, weight: Tensor, size: Size | None) -> Any:
        """The weights [out, in, kh, kw] in oneDNN's layout, for inputs of this size."""
        shape = () if size is None else ([1, weight.shape[1], *size],)
        return ONE_DNN._reorder_convolution_weight(weight, *self._places, *shape)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution's output for x: [B, in, H, W] → [B, out, H, W], with the same height and width."""
        return self._convolved(x, self._weight, self._bias)

    def backward(self, gradient: Tensor) -> Tensor:
        """The gradient of the input from the gradient of the output: [B, out, H, W] → [B, in, H, W]."""
        return self._convolved(gradient, self._turned, None)

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """oneDNN's convolution of x with packed weights, in torch's default memory layout."""
        output: Tensor = ONE_DNN._convolution_pointwise(x, weight, bias, *self._places, *PLAIN)
        # oneDNN returns channels last, which slows the following layers down.
        return output.contiguous()


def _forward(packed: PackedConvolution, x: Tensor) -> Any:
    """The differentiable output of a packed convolution."""
    return _Convolution.apply(x.to(packed.dtype), packed)


def _forward_by_size(
    layer: nn.Conv2d, packed: dict[Size, PackedConvolution], sizes: Collection[Size], x: Tensor
) -> Any:
    """The layer's output; weights are packed when an input of one of `sizes` first occurs.

    Which sizes are packed does not depend on the order in which they occur, so a resumed run computes the same bits.
    """
    size: Size = (x.shape[-2], x.shape[-1])
    if size not in sizes or x.dtype != torch.float32 or _autocasts():
        return nn.Conv2d.forward(layer, x)
    if size not in packed:
        packed[size] = PackedConvolution(layer, size)
    return _forward(packed[size], x)


class _Convolution(torch.autograd.Function):
    """The autograd function of a packed convolution; only the input has a gradient."""

    @staticmethod
    def forward(context: Any, x: Tensor, packed: PackedConvolution) -> Tensor:
        context.packed = packed
        return packed.forward(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return context.packed.backward(gradient), None


def _is_plain(layer: nn.Conv2d) -> bool:
    """Whether a convolution is 1x1 or 3x3 with stride 1, padding that keeps the size, zero padding and no groups."""
    same = layer.kernel_size in ((1, 1), (3, 3)) and layer.padding == tuple(side // 2 for side in layer.kernel_size)
    return same and layer.stride == layer.dilation == (1, 1) and layer.groups == 1 and layer.padding_mode == "zeros"


@cache
def _packs(dtype: torch.dtype) -> bool:
    """Whether this torch on this processor supports the packed operations in `dtype`, found out by calling them."""
    size = None if dtype == torch.bfloat16 else (2, 2)
    try:
        PackedConvolution(nn.Conv2d(2, 2, 1).to(dtype), size).forward(torch.zeros(1, 2, 2, 2, dtype=dtype))
    except (AttributeError, RuntimeError, TypeError):
        return False
    return True


MAX_ATTENTION_POSITIONS = 256
"""Latent pixels (h·w) up to which these kernels are used. Above, convolutions are faster channels last, and plain
attention's memory grows with the square.
"""


def use_cpu_kernels(denoiser: Any, latents: Tensor) -> None:
    """Switch a denoiser on a CPU to faster kernels where its latents [N, C, h, w] are small; changes `denoiser`.

    Attention becomes two plain matrix products, and frozen convolutions are packed. Outputs differ by rounding only.
    """
    if latents.device.type != "cpu" or latents.shape[-2] * latents.shape[-1] > MAX_ATTENTION_POSITIONS:
        return
    denoiser.to(memory_format=torch.contiguous_format)
    if hasattr(denoiser, "set_attn_processor"):
        denoiser.set_attn_processor(AttnProcessor())
    sizes = _sizes(latents.shape[-2], latents.shape[-1])
    for layer in denoiser.modules():
        pack(layer, sizes)


def _sizes(height: int, width: int) -> set[tuple[int, int]]:
    """The input sizes of a UNet's levels: each level halves the one before, rounding up."""
    sizes = {(height, width)}
    while max(height, width) > 1:
        height, width = (height + 1) // 2, (width + 1) // 2
        sizes.add((height, width))
    return sizes

"""A frozen convolution on a CPU, its weights laid out once as its kernels read them; torch does so at every call.

oneDNN's own order, for the forward pass and for the gradient of the input. In bf16 one order is for all sizes of input,
and the answers are the convolution's, bit for bit. In float32 a kernel is chosen by the input's size, and weights laid
out for another kernel are reordered at every call by slow code: they are packed for the sizes of the run alone, and the
answers differ by rounding (figures: bench/README.md).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache, partial
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

ONE_DNN: Any = torch.ops.mkldnn
PLAIN: tuple[str, list[float], str] = ("none", [], "")
"""No activation after the product, in oneDNN's operations."""
Size = tuple[int, int]
"""Height and width of an input."""
_autocasts: Any = (
    # Torch 2.3 asks it of a CPU by another name.
    partial(torch.is_autocast_enabled, "cpu") if hasattr(torch, "get_autocast_dtype") else torch.is_autocast_cpu_enabled
)


def pack(layer: nn.Module, sizes: Collection[Size]) -> None:
    """Let a frozen, plain convolution answer by packed weights from now on; any other layer stays as it is.

    sizes: of inputs in float32 that it is packed for. Of any other size the layer itself is asked, and a 1 x 1
    convolution always, which is no faster so.
    """
    frozen = not any(parameter.requires_grad for parameter in layer.parameters(recurse=False))
    if type(layer) is not nn.Conv2d or not frozen or not _is_plain(layer):
        return
    # Set as an attribute: it stands before the class's own.
    if layer.weight.dtype == torch.bfloat16 and _packs(torch.bfloat16):
        vars(layer)["forward"] = partial(_forward, PackedConvolution(layer))
    elif layer.weight.dtype == torch.float32 and layer.kernel_size == (3, 3) and _packs(torch.float32):
        vars(layer)["forward"] = partial(_forward_by_size, layer, {}, frozenset(sizes))


class PackedConvolution:
    """One of stride 1; with its weights turned round it gives its input's gradient.

    size: of the input, for float32.
    """

    def __init__(self, layer: nn.Conv2d, size: Size | None = None) -> None:
        weight = layer.weight.detach().contiguous()
        turned = weight.flip(2, 3).transpose(0, 1).contiguous()
        self.dtype = weight.dtype
        self._places = ([*layer.padding], [1, 1], [1, 1], 1)
        """Padding, stride, dilation, groups."""
        self._bias = None if layer.bias is None else layer.bias.detach()
        self._weight, self._turned = (self._packed(each, size) for each in (weight, turned))

    def _packed(self, weight: Tensor, size: Size | None) -> Any:
        shape = () if size is None else ([1, weight.shape[1], *size],)
        return ONE_DNN._reorder_convolution_weight(weight, *self._places, *shape)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution's output for x: [B, in, H, W] → [B, out, H, W], the same height and width."""
        return self._convolved(x, self._weight, self._bias)

    def backward(self, gradient: Tensor) -> Tensor:
        """The gradient of x from that of the output: [B, out, H, W] → [B, in, H, W]."""
        return self._convolved(gradient, self._turned, None)

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        output: Tensor = ONE_DNN._convolution_pointwise(x, weight, bias, *self._places, *PLAIN)
        # It comes channels last, which what follows is slower with.
        return output.contiguous()


def _forward(packed: PackedConvolution, x: Tensor) -> Any:
    return _Convolution.apply(x.to(packed.dtype), packed)


def _forward_by_size(
    layer: nn.Conv2d, packed: dict[Size, PackedConvolution], sizes: Collection[Size], x: Tensor
) -> Any:
    """The layer's output, by weights that are packed when one of `sizes` first comes.

    Which sizes are packed does not depend on their order: a resumed run gets the same bits.
    """
    size: Size = (x.shape[-2], x.shape[-1])
    if size not in sizes or x.dtype != torch.float32 or _autocasts():
        return nn.Conv2d.forward(layer, x)
    if size not in packed:
        packed[size] = PackedConvolution(layer, size)
    return _forward(packed[size], x)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, packed: PackedConvolution) -> Tensor:
        context.packed = packed
        return packed.forward(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return context.packed.backward(gradient), None


def _is_plain(layer: nn.Conv2d) -> bool:
    same = layer.kernel_size in ((1, 1), (3, 3)) and layer.padding == tuple(side // 2 for side in layer.kernel_size)
    return same and layer.stride == layer.dilation == (1, 1) and layer.groups == 1 and layer.padding_mode == "zeros"


@cache
def _packs(dtype: torch.dtype) -> bool:
    """Whether this torch has these operations, on this processor: they are tried."""
    size = None if dtype == torch.bfloat16 else (2, 2)
    try:
        PackedConvolution(nn.Conv2d(2, 2, 1).to(dtype), size).forward(torch.zeros(1, 2, 2, 2, dtype=dtype))
    except (AttributeError, RuntimeError, TypeError):
        return False
    return True


MOST = 256
"""Above this, convolutions want their channels last, and plain attention's memory grows with the square."""


def use_cpu_kernels(denoiser: Any, latents: Tensor) -> None:
    """Where latents [N, C, h, w] are small: attention plainly, as two products; frozen convolutions packed.

    The answers are the same but for rounding. Changes `denoiser`.
    """
    if latents.device.type != "cpu" or latents.shape[-2] * latents.shape[-1] > MOST:
        return
    denoiser.to(memory_format=torch.contiguous_format)
    if hasattr(denoiser, "set_attn_processor"):
        denoiser.set_attn_processor(AttnProcessor())
    sizes = _sizes(latents.shape[-2], latents.shape[-1])
    for layer in denoiser.modules():
        pack(layer, sizes)


def _sizes(height: int, width: int) -> set[tuple[int, int]]:
    """What the levels of a UNet are shown: half of the level before."""
    sizes = {(height, width)}
    while max(height, width) > 1:
        height, width = (height + 1) // 2, (width + 1) // 2
        sizes.add((height, width))
    return sizes

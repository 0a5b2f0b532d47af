"""Frozen weights that a host's layers fetch again in the backward pass, so that autograd keeps none of their copies.

Where a weight lies in the host's memory, or in fewer bits, the host makes a copy for each forward. Autograd would keep
a copy of every layer, and newer hosts write the next layer's weight into the same buffer, under what autograd kept.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.ops
import torch
from torch import Tensor, nn

PLAIN_LINEAR = comfy.ops.disable_weight_init.Linear
"""The host's linear layer whose outputs are those of the weight that it casts, and nothing else."""


class FetchedWeights:
    """The layers of a module, which fetch their weights again in the backward pass until `end`."""

    def __init__(self, module: nn.Module) -> None:
        self._layers: list[tuple[nn.Module, Any]] = []
        for layer in module.modules():
            if isinstance(layer, comfy.ops.CastWeightBiasOp):
                self._layers.append((layer, vars(layer).get("forward")))
                # On the instance, and gone again in `end`.
                layer.forward = partial(_forward, layer, layer.forward)

    def end(self) -> None:
        """Leave the layers as they were."""
        for layer, own in self._layers:
            if own is None:
                del layer.forward
            else:
                layer.forward = own
        self._layers = []


def _forward(layer: Any, own: Any, *args: Any, **kwargs: Any) -> Any:
    """A layer's own forward, of which autograd keeps no weight."""
    alone = len(args) == 1 and not kwargs and isinstance(args[0], Tensor)
    if alone and torch.is_grad_enabled() and args[0].requires_grad and _copies(layer, args[0]):
        return _Fetched.apply(args[0], layer, own)
    return own(*args, **kwargs)


def _copies(layer: Any, x: Tensor) -> bool:
    """Whether a layer computes with a copy of its weight for inputs like these."""
    weight = getattr(layer, "weight", None)
    if weight is None:
        return False
    same = type(weight) in (Tensor, nn.Parameter) and (weight.device, weight.dtype) == (x.device, x.dtype)
    return not same or bool(layer.weight_function)


class _Fetched(torch.autograd.Function):
    """A layer's forward, and the gradient of its inputs alone; it saves no weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Any, own: Any) -> Tensor:
        ctx.layer, ctx.own, ctx.dtype, ctx.device = layer, own, x.dtype, x.device
        ctx.is_plain = _is_plain(layer)
        if not ctx.is_plain:
            ctx.save_for_backward(x)
        answer: Tensor = own(x)
        return answer

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.is_plain:
            return _through_weight(ctx.layer, gradients[0], ctx.dtype, ctx.device), None, None
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            again = x.detach().requires_grad_()
            (back,) = torch.autograd.grad(ctx.own(again), again, gradients[0])
        return back, None, None


def _is_plain(layer: Any) -> bool:
    """Whether a layer's forward is the product with the weight that the host casts."""
    casts = getattr(type(layer), "forward_comfy_cast_weights", None)
    return isinstance(layer, PLAIN_LINEAR) and casts is PLAIN_LINEAR.forward_comfy_cast_weights


def _through_weight(layer: Any, gradient: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The gradient [..., in] of a plain linear layer's inputs, of that of its outputs [..., out]."""
    weight, bias, stream = comfy.ops.cast_bias_weight(
        layer, dtype=dtype, device=device, bias_dtype=dtype, offloadable=True
    )
    back = gradient.to(dtype) @ weight
    comfy.ops.uncast_bias_weight(layer, weight, bias, stream)
    return torch.as_tensor(back)

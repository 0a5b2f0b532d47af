"""Weights of every kind that a newer host quantises, in layers of the host's own: trained on, or refused by name."""

from __future__ import annotations

from typing import Any

import torch
from comfy.quant_ops import QUANT_ALGOS, QuantizedTensor
from torch import nn

from dreambooth_nodes.nodes.host_model.quantised import FILES, PLAIN_FILE, quantised_by_a_pack, require_gradients
from dreambooth_nodes.tests.host.in_memory.quantised import quantised

CPU = torch.device("cpu")
SIDE = 256
"""Inputs and outputs of a layer: a multiple of every kind's groups."""


def layer_of(kind: str, **settings: Any) -> nn.Module:
    """A linear layer of the host's, its weights quantised to a kind. settings: of its layout's."""
    layers = quantised().model.diffusion_model.modules()
    layer: Any = next(one for one in layers if getattr(one, "layout_type", None))
    weight = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(1)) / SIDE**0.5
    layer.layout_type = QUANT_ALGOS[kind]["comfy_tensor_layout"]
    layer.quant_format = kind
    layer.in_features = layer.out_features = SIDE
    layer.bias = None
    layer.weight = nn.Parameter(QuantizedTensor.from_float(weight, layer.layout_type, **settings), requires_grad=False)
    return nn.Sequential(layer)


def told(kind: str, **settings: Any) -> str:
    """What is said of a kind; "" where it is trained on."""
    with torch.inference_mode(False), torch.enable_grad():
        try:
            require_gradients(layer_of(kind, **settings), CPU)
        except ValueError as error:
            return str(error)
    return ""


class NunchakuLinear(nn.Linear):
    """A layer by the name of a pack's."""


def figures() -> dict[str, Any]:
    """{kind: what is said of it}, of the host's kinds and of another pack's layers."""
    return {
        "kinds": {kind: told(kind) for kind in QUANT_ALGOS},
        "rotated": told("int8_tensorwise", convrot=True, per_channel=True),
        "pack": quantised_by_a_pack(nn.Sequential(NunchakuLinear(2, 2))),
        "named": {name: quantised_by_a_pack(nn.Sequential(NunchakuLinear(2, 2)), name) for name in FILES},
        "plain": quantised_by_a_pack(nn.Sequential(nn.Linear(2, 2))),
        "way out": PLAIN_FILE,
    }

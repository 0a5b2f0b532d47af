"""Models in 8 bits, of three kinds that the host loads, beside the same weights in float32."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.sd
import torch
from torch import Tensor, nn

from dreambooth_nodes.tests.host.in_memory.forwards import branch_gradients
from dreambooth_nodes.tests.host.in_memory.models import Parts, loaded, losses, trained, with_words
from dreambooth_nodes.tests.host.in_memory.state import fingerprint, state
from dreambooth_nodes.tests.host.tiny_models import random_weights, sd3_shapes

BYTE = torch.float8_e4m3fn
LARGEST = 448
"""Of those numbers."""


def in_bytes() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of the tiny Stable Diffusion 3 with its block's matrices in 8 bits, and their scales by layer."""
    weights, scales = random_weights(sd3_shapes()), {}
    for name in [name for name in weights if name.startswith("joint_blocks") and name.endswith(".weight")]:
        scales[name.removesuffix(".weight")] = scale = weights[name].abs().max() / LARGEST
        weights[name] = (weights[name] / scale).to(BYTE)
    return weights, scales


def plain() -> Any:
    """Every weight in 8 bits, as `weight_dtype` of the stock loader has it."""
    return comfy.sd.load_diffusion_model_state_dict(random_weights(sd3_shapes()), model_options={"dtype": BYTE})


def scaled() -> Any:
    """Weights with a scale a layer, as files of the older kind have them."""
    weights, scales = in_bytes()
    named = {f"{layer}.scale_weight": scale for layer, scale in scales.items()}
    return loaded({**weights, **named, "scaled_fp8": torch.zeros(0, dtype=BYTE)})


def quantised() -> Any:
    """Tensors of the host's own quantised kind, as newer files describe them."""
    weights, scales = in_bytes()
    layers = {layer: {"format": "float8_e4m3fn"} for layer in scales}
    named = {f"{layer}.weight_scale": scale for layer, scale in scales.items()}
    about = {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": layers})}
    return comfy.sd.load_diffusion_model_state_dict({**weights, **named}, metadata=about)


def in_float32(model: Any) -> Any:
    """A model of the weights that another's are in 8 bits."""
    modules = dict(model.model.diffusion_model.named_modules())
    found = {}
    for name in sd3_shapes():
        layer, _, kind = name.rpartition(".")
        weight = getattr(modules[layer], kind)
        scale = getattr(modules[layer], "scale_weight", None) if kind == "weight" else None
        plain = weight.dequantize() if hasattr(weight, "dequantize") and type(weight) is not nn.Parameter else weight
        found[name] = plain.float().clone() * (1 if scale is None else scale)
    return loaded(found)


def beside_float32(model: Any) -> dict[str, Any]:
    """Gradients beside those of the same weights in float32; what is left of the model, its key, and losses."""
    parts = with_words(model)
    before, known = state(model), fingerprint(*parts)
    kinds = {type(weight).__name__ for weight in model.model.parameters()}
    whole, found = branch_gradients(with_words(in_float32(model))), branch_gradients(parts)
    trained_losses = losses(trained(parts, sample_count=1))
    return {
        "kinds": sorted(kinds),
        "distance": float((found - whole).norm() / whole.norm()),
        "as before": state(model) == before,
        "same key": fingerprint(*parts) == known,
        "losses": trained_losses,
    }


def by_products_in_bytes(parts: Parts) -> dict[str, Any]:
    """Gradients of a quantised model whose layers would multiply in 8 bits, as on cards that can, beside exact ones."""
    exact = branch_gradients(parts)
    layers = [layer for layer in parts[0].model.modules() if hasattr(layer, "_full_precision_mm")]
    for layer in layers:
        layer._full_precision_mm, layer.input_scale = False, nn.Parameter(torch.ones(()), requires_grad=False)
    found = branch_gradients(parts)
    return {
        "layers": len(layers),
        "distance": float((found - exact).norm() / exact.norm()),
        "as before": not any(layer._full_precision_mm for layer in layers),
    }


def figures() -> dict[str, Any]:
    """Of each kind, and of products in 8 bits where the host knows no training."""
    kinds: dict[str, Callable[[], Any]] = {"plain": plain, "scaled": scaled, "quantised": quantised}
    products = {} if hasattr(comfy.model_management, "in_training") else by_products_in_bytes(with_words(quantised()))
    return {"in bytes": {name: beside_float32(make()) for name, make in kinds.items()}, "products": products}

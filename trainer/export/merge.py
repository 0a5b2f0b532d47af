"""Merging of a LoRA or another adapter into the weights of its base."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..files.lazy_tensors import LazyTensors
from ..files.safetensors import to_dtype
from ..methods.adapters import AdapterWeights
from ..model.base import Base
from ..model.keys import Components, text_encoder_name
from ..model.layers import Layers
from ..model.original_layout import original_tensors


def merged_tensors(
    layers: Layers, lora: AdapterWeights, strength: float = 1.0, dtype: torch.dtype = torch.float16
) -> LazyTensors:
    """{original key: tensor} of the base's checkpoint with the adapter at a strength in its layers, in `dtype`."""
    replaced: dict[str, dict[str, Tensor]] = {}
    for component, changes in lora.items():
        weights = Components(layers.source, layers.tables)[component]
        for layer, change in changes.items():
            weight = weights[f"{layer}.weight"]
            # Cast right away: all of SDXL in float32 is 13 GB.
            weights[f"{layer}.weight"] = change.merged(weight, strength).to(dtype)
        # The others too, with which the original layout joins some: torch joins no 8-bit floats with wider ones.
        replaced[component] = to_dtype(weights, dtype)
    return original_tensors(layers, replaced, dtype)


@torch.no_grad()
def merge_into(base: Base, lora: AdapterWeights, strength: float = 1.0) -> Base:
    """Merge a LoRA into a base in memory, in place; returns the base."""
    for component, changes in lora.items():
        modules: dict[str, nn.Module] = {
            text_encoder_name(name): module for name, module in base.components()[component].named_modules()
        }
        for layer, change in changes.items():
            weight = modules[layer].weight
            assert isinstance(weight, Tensor)
            weight.copy_(change.merged(weight, strength))
    return base

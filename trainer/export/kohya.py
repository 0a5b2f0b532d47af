"""A LoRA under kohya's names: `lora_unet_<layer>.lora_down.weight`, `.lora_up.weight`, `.alpha`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..methods.lora.weights import LoraWeights, all_layers, finite
from ..model.layers import Layers


def kohya_tensors(lora: LoraWeights, layers: Layers, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """{kohya's key: tensor}; alphas in float32.

    Raises ValueError where `dtype` cannot hold a value.
    """
    tensors: dict[str, Tensor] = {}
    for component, layer, weights in all_layers(lora):
        name = layers.kohya_name((component, layer))
        tensors[f"{name}.lora_down.weight"] = finite(weights.down.to(dtype), f"{layer}.lora_A.weight")
        tensors[f"{name}.lora_up.weight"] = finite(weights.up.to(dtype), f"{layer}.lora_B.weight")
        tensors[f"{name}.alpha"] = torch.tensor(weights.alpha)
    return tensors

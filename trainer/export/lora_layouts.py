"""A LoRA under diffusers' names: `unet.<layer>.lora_A.weight`, as `load_lora_weights` reads them.

The layout has no alpha, and diffusers 0.31 takes it as the commonest rank: so alpha / rank is folded into the
weights, and all layers get one rank.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..methods.lora.weights import LoraWeights, all_layers, finite, ranks
from ..model.layers import Layers


def diffusers_tensors(lora: LoraWeights, layers: Layers, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """{diffusers' key: tensor}. Raises ValueError where `dtype` cannot hold a value."""
    rank = max(ranks(lora), default=0)
    tensors: dict[str, Tensor] = {}
    for component, layer, weights in all_layers(lora):
        name = layers.diffusers_name((component, layer))
        whole = weights.folded().padded(rank)
        tensors[f"{name}.lora_A.weight"] = finite(whole.down.to(dtype), f"{layer}.lora_A.weight")
        tensors[f"{name}.lora_B.weight"] = finite(whole.up.to(dtype), f"{layer}.lora_B.weight")
    return tensors


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

"""LoRA file layouts: the tensors of a LoRA under kohya's keys, and under diffusers' keys.

diffusers' keys are `unet.<layer>.lora_A.weight`, which `load_lora_weights` reads. That layout has no alpha, and
diffusers 0.31 assumes it to be the most common rank: so alpha / rank is multiplied into the weights, and all layers get
the same rank.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ...files.lazy_tensors import finite
from ...files.safetensors import Shapes
from ...model.layers import Layers
from .keys import diffusers_style, kohya_style, sort_keys
from .weights import LoraWeights, all_layers, ranks

LoraLayout = Literal["kohya", "diffusers"]
"""The layouts of a LoRA file."""


def diffusers_tensors(lora: LoraWeights, layers: Layers, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """{diffusers' key: tensor} of a LoRA. Raises ValueError where `dtype` cannot represent a value."""
    rank = max(ranks(lora), default=0)
    tensors: dict[str, Tensor] = {}
    for component, layer, weights in all_layers(lora):
        name = layers.diffusers_name((component, layer))
        whole = weights.folded().padded(rank)
        tensors[f"{name}.lora_A.weight"] = finite(whole.down.to(dtype), f"{layer}.lora_A.weight")
        tensors[f"{name}.lora_B.weight"] = finite(whole.up.to(dtype), f"{layer}.lora_B.weight")
    return tensors


def kohya_tensors(lora: LoraWeights, layers: Layers, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """{kohya's key: tensor} of a LoRA, with alphas in float32. Raises ValueError where `dtype` cannot represent a
    value.
    """
    tensors: dict[str, Tensor] = {}
    for component, layer, weights in all_layers(lora):
        name = layers.kohya_name((component, layer))
        tensors[f"{name}.lora_down.weight"] = finite(weights.down.to(dtype), f"{layer}.lora_A.weight")
        tensors[f"{name}.lora_up.weight"] = finite(weights.up.to(dtype), f"{layer}.lora_B.weight")
        tensors[f"{name}.alpha"] = torch.tensor(weights.alpha)
    return tensors


def require_lora_of(layers: Layers, layout: LoraLayout, shapes: Shapes, name: str) -> None:
    """Raises CheckpointError, listing the keys, unless a file with these tensors is a LoRA for these layers in this
    layout.
    """
    diffusers = layout == "diffusers"
    names, style = (layers.diffusers_names, diffusers_style) if diffusers else (layers.kohya_names, kohya_style)
    keys = sort_keys(shapes, lambda name: (names[name],) if name in names else (), layers.places, style)
    keys.unmatched += keys.left_out
    keys.require_good(name)


def network_metadata(lora: LoraWeights) -> dict[str, str]:
    """kohya's metadata on a LoRA's module, rank and alpha."""
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": _only(ranks(lora)),
        "ss_network_alpha": _only({layer.alpha for _, _, layer in all_layers(lora)}),
    }


def _only(values: set[int] | set[float]) -> str:
    """The common value of all layers, or kohya's "Dynamic" where layers differ."""
    return f"{next(iter(values)):g}" if len(values) == 1 else "Dynamic"

"""LoRA file layouts: the tensors of a LoRA under kohya's keys, and under diffusers' keys.

diffusers' keys are `unet.<layer>.lora_A.weight`, which `load_lora_weights` reads. That layout has no alpha, and
diffusers 0.31 assumes it to be the most common rank: so alpha / rank is multiplied into the weights, and all layers get
the same rank.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from ...files.lazy_tensors import finite
from ...files.safetensors import Shapes
from ...model.layers import Layers
from .keys import diffusers_style, kohya_style, sort_keys
from .weights import LoraLayer, LoraWeights, all_layers, ranks

LoraLayout = Literal["kohya", "diffusers"]
"""The layouts of a LoRA file."""


class KohyaLayer(Protocol):
    """One layer's part of an adapter that kohya's layout has keys for."""

    def kohya_tensors(self, name: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """{kohya's key: tensor}. name: of the layer there."""


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


def kohya_tensors(
    adapter: Mapping[str, Mapping[str, KohyaLayer]], layers: Layers, dtype: torch.dtype = torch.float16
) -> dict[str, Tensor]:
    """{kohya's key: tensor} of a LoRA or another adapter, with alphas in float32. Raises ValueError where `dtype`
    cannot represent a value.
    """
    return {
        key: tensor
        for component, own in adapter.items()
        for layer, weights in own.items()
        for key, tensor in weights.kohya_tensors(layers.kohya_name((component, layer)), dtype).items()
    }


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
    """kohya's metadata on a LoRA's module, rank and alpha; those of 3 x 3 convolutions apart where they differ."""
    module = {"ss_network_module": "networks.lora"}
    wide, others = ([one for _, _, one in all_layers(lora) if one.is_wide is is_so] for is_so in (True, False))
    own, of_wide = _dimensions(others or wide), _dimensions(wide)
    if wide and own != of_wide:
        return {**module, **own, "ss_network_args": json.dumps({
            "conv_dim": of_wide["ss_network_dim"], "conv_alpha": of_wide["ss_network_alpha"],
        })}  # fmt: skip
    return {**module, **own}


def _dimensions(layers: Sequence[LoraLayer]) -> dict[str, str]:
    """kohya's metadata on the rank and alpha of layers."""
    return {
        "ss_network_dim": _only({layer.rank for layer in layers}),
        "ss_network_alpha": _only({layer.alpha for layer in layers}),
    }


def _only(values: set[int] | set[float]) -> str:
    """The common value of all layers, or kohya's "Dynamic" where layers differ."""
    return f"{next(iter(values)):g}" if len(values) == 1 else "Dynamic"

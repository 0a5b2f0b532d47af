"""A LoRA under kohya's names: `lora_unet_<layer>.lora_down.weight`, `.lora_up.weight`, `.alpha`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

COMPONENTS = {"denoiser": "lora_unet_", "text_encoder": "lora_te_text_model_"}
PARTS = {"lora_A.weight": "lora_down.weight", "lora_B.weight": "lora_up.weight"}


def kohya_tensors(
    trained: Mapping[str, Mapping[str, Tensor]], alpha: float, dtype: torch.dtype = torch.float16
) -> dict[str, Tensor]:
    """{kohya's key: tensor} for {component: {"layer.lora_A.weight": tensor}}; alphas in float32.

    Raises KeyError for a tensor that is no part of a LoRA, ValueError where `dtype` cannot hold a value.
    """
    tensors: dict[str, Tensor] = {}
    for component, weights in trained.items():
        for key, tensor in weights.items():
            layer, part = _split(key)
            name = COMPONENTS[component] + layer.replace(".", "_")
            tensors[f"{name}.{PARTS[part]}"] = finite(tensor.to(dtype), key)
            tensors[f"{name}.alpha"] = torch.tensor(float(alpha))
    return tensors


def finite(tensor: Tensor, key: str) -> Tensor:
    """The tensor, if all its values are numbers. Raises ValueError, naming the weight."""
    if not torch.isfinite(tensor).all():
        raise ValueError(f"The trained weight {key!r} holds values that are no numbers; nothing was saved.")
    return tensor


def _split(key: str) -> tuple[str, str]:
    for part in PARTS:
        if key.endswith(f".{part}"):
            return key[: -len(part) - 1], part
    raise KeyError(f"{key!r} is no part of a LoRA")

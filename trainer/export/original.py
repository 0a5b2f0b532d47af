"""A full result as one complete checkpoint in the original layout: the base's file, trained weights in place."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..base import Base
from ..checkpoint import CheckpointError, to_dtype
from .layers import Layers
from .lora_weights import finite


def original_tensors(
    base: Base | Layers, trained: Mapping[str, Mapping[str, Tensor]], dtype: torch.dtype = torch.float16
) -> dict[str, Tensor]:
    """{original key: tensor} of the whole checkpoint; what no module owns is carried through.

    trained: {component: {our name: tensor}}. Raises CheckpointError if a trained weight has no place.
    """
    tensors = to_dtype(base.source.tensors(), dtype)
    for component, weights in trained.items():
        whole = {name: finite(tensor.cpu().to(dtype), name) for name, tensor in weights.items()}
        for key, tensor in base.tables[component].original(whole).items():
            if key not in tensors or tensors[key].shape != tensor.shape:
                raise CheckpointError(f"{base.source.name!r} has no place for {component}'s {key!r}.")
            tensors[key] = tensor
    return tensors

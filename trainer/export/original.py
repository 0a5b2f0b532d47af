"""A full result as one complete checkpoint in the original layout: the base's file, trained weights in place."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..base import Base
from ..checkpoint import CheckpointError, read_tensors, to_dtype
from .layers import Layers
from .lora_weights import finite


def original_tensors(
    base: Base | Layers, trained: Mapping[str, Mapping[str, Tensor]], dtype: torch.dtype = torch.float16
) -> dict[str, Tensor]:
    """{original key: tensor} of the whole checkpoint; what no module owns is carried through.

    trained: {component: {our name: tensor}}. Raises CheckpointError if a trained weight has no place.
    """
    tensors = to_dtype(read_tensors(base.source), dtype)
    for component, weights in trained.items():
        for name, tensor in weights.items():
            key = base.tables[component].original(name)
            if key is None or key not in tensors:
                raise CheckpointError(f"{base.source.name!r} has no place for {component}'s {name!r}.")
            tensors[key] = finite(tensor.cpu().to(dtype), name).reshape(tensors[key].shape)
    return tensors

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
    base: Base | Layers, trained: Mapping[str, Mapping[str, Tensor]], dtype: torch.dtype | None = None
) -> dict[str, Tensor]:
    """{original key: tensor} of the whole checkpoint; what is not trained is carried through.

    trained: {component: {our name: tensor}}. dtype: of all weights; None leaves each as the source has it, but for
    trained ones in bf16, which would lose what they learned: they become fp16. Raises CheckpointError if a trained
    weight has no place, ValueError where a dtype cannot hold a value.
    """
    source = base.source.tensors()
    tensors = source if dtype is None else to_dtype(source, dtype)
    taken: set[int] = set()
    for component, weights in trained.items():
        whole = {name: tensor.cpu() for name, tensor in weights.items()}
        for key, tensor in base.tables[component].original(whole).items():
            if key not in tensors or tensors[key].shape != tensor.shape:
                raise CheckpointError(f"{base.source.name!r} has no place for {component}'s {key!r}.")
            kept = torch.float16 if source[key].dtype == torch.bfloat16 else source[key].dtype
            written = finite(tensor.to(dtype or kept), key)
            # Tied weights share their memory, which a file cannot.
            tensors[key] = written.clone() if written.data_ptr() in taken else written
            taken.add(written.data_ptr())
    return tensors

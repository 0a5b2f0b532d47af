"""A whole checkpoint in the original layout: the base's tensors with the trained weights in their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from ..files.lazy_tensors import LazyTensors, TensorSpec, finite
from ..files.safetensors import CheckpointError
from .base import Base
from .layers import Layers
from .remainder import EMA
from .source import lazy_tensors_of

T = TypeVar("T")


def original_tensors(
    base: Base | Layers, trained: Mapping[str, Mapping[str, Tensor]], dtype: torch.dtype | None = None
) -> LazyTensors:
    """{original key: tensor} of the whole checkpoint; weights that were not trained are copied from the base's source.

    An averaged copy of the weights (EMA) is left out where any was trained, because it would be that of the old ones.

    trained: {component: {our name: tensor}}, where our names are diffusers' and transformers' (see `model.keys`).
    dtype: of all weights; None keeps the source's dtypes, except that trained weights in bf16 or in 8 bits, whose
    rounding would lose what was learned, become fp16. Raises CheckpointError if a trained weight has no place; when it
    is read, ValueError where a dtype cannot represent a value.
    """
    carried = lazy_tensors_of(base.source)
    if trained:
        carried = LazyTensors(without_copies(carried.specs), carried.read)
    replaced: dict[str, Tensor] = {}
    for component, weights in trained.items():
        table = base.tables[component]
        # Fused tensors are concatenated on the CPU: a device may have no memory for them.
        ours = {name: tensor.cpu() for name, tensor in weights.items()} if table.fused else weights
        for key, tensor in table.to_original(ours).items():
            if key not in carried or carried.specs[key].shape != tuple(tensor.shape):
                raise CheckpointError(f"{base.source.name!r} has no place for {component}'s {key!r}.")
            replaced[key] = tensor
    specs = {
        key: TensorSpec(_written(spec.dtype, key in replaced, dtype), spec.shape) for key, spec in carried.specs.items()
    }

    def read(keys: Sequence[str]) -> dict[str, Tensor]:
        rest = [key for key in keys if key not in replaced]
        found = carried.read(rest) if rest else {}
        cast = {key: found[key].to(specs[key].dtype) for key in rest}
        return cast | {key: finite(replaced[key].cpu().to(specs[key].dtype), key) for key in keys if key in replaced}

    return LazyTensors(specs, read)


def without_copies(tensors: Mapping[str, T]) -> dict[str, T]:
    """What belongs to these tensors of a checkpoint, without averaged copies of weights."""
    return {key: value for key, value in tensors.items() if not EMA.search(key)}


def _written(found: torch.dtype, trained: bool, wanted: torch.dtype | None) -> torch.dtype:
    """The dtype that a tensor is written in. found: the source's dtype; wanted: the requested one."""
    if not found.is_floating_point:
        return found
    return wanted or (torch.float16 if trained and found.itemsize <= torch.bfloat16.itemsize else found)

"""Many small tensors as a few large ones: one exchange takes its time whatever it carries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

BYTES = 64 << 20


def buckets(tensors: Sequence[Tensor], size: int = BYTES) -> Iterator[list[Tensor]]:
    """The tensors in their order, in groups of one dtype and device and of about `size` bytes at most."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and (_unlike(tensor, bucket[0]) or sum(t.nbytes for t in bucket) + tensor.nbytes > size):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


def spread(flat: Tensor, bucket: Sequence[Tensor]) -> None:
    """Copy a flattened bucket back into its tensors."""
    parts = flat.split([tensor.numel() for tensor in bucket])
    torch._foreach_copy_(list(bucket), [part.view(t.shape) for part, t in zip(parts, bucket, strict=True)])


def _unlike(tensor: Tensor, other: Tensor) -> bool:
    return (tensor.dtype, tensor.device) != (other.dtype, other.device)

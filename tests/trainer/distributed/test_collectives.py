"""Buckets: every tensor once, in order, and back where it was."""

from __future__ import annotations

import torch

from dreambooth_nodes.trainer.distributed.collectives import buckets, spread

SIZES = [(3,), (2, 5), (), (4, 4), (1,)]


def test_buckets_hold_every_tensor_once_in_order_and_are_of_one_kind() -> None:
    tensors = [torch.randn(size) for size in SIZES]
    tensors.insert(2, torch.ones(3, dtype=torch.bfloat16))
    found = list(buckets(tensors, size=64))
    assert [id(t) for bucket in found for t in bucket] == [id(t) for t in tensors]
    assert all(len({t.dtype for t in bucket}) == 1 for bucket in found)
    assert all(sum(t.nbytes for t in bucket) <= 64 for bucket in found)


def test_one_tensor_larger_than_a_bucket_goes_alone() -> None:
    assert [len(bucket) for bucket in buckets([torch.ones(99), torch.ones(1), torch.ones(1)], size=64)] == [1, 2]


def test_what_was_flattened_comes_back_whatever_its_layout() -> None:
    tensors = [torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last), torch.randn(()), torch.randn(5)]
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    back = [torch.empty_like(tensor) for tensor in tensors]
    spread(flat, back)
    assert all(torch.equal(one, other) for one, other in zip(tensors, back, strict=True))

"""Every draw is a function of (seed, stream, index): resuming and splitting a run depend on it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def generator(seed: int, stream: str, index: int) -> torch.Generator:
    """A CPU generator for one draw. The same triple gives the same draw on every device."""
    digest = hashlib.blake2b(f"{seed}/{stream}/{index}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def normal(seed: int, stream: str, indices: Sequence[int], shape: Sequence[int]) -> Tensor:
    """ε ~ N(0, I), float32 [len(indices), *shape]; row i depends on indices[i] alone."""
    rows = [torch.randn(tuple(shape), generator=generator(seed, stream, i)) for i in indices]
    return torch.stack(rows)


def uniform(seed: int, stream: str, indices: Sequence[int]) -> Tensor:
    """u ~ U[0, 1), float32 [len(indices)]; row i depends on indices[i] alone."""
    return torch.cat([torch.rand(1, generator=generator(seed, stream, i)) for i in indices])


def order(seed: int, stream: str, count: int, index: int) -> int:
    """Which of `count` items the draw number `index` takes: every epoch is a fresh permutation."""
    epoch, place = divmod(index, count)
    return int(torch.randperm(count, generator=generator(seed, stream, epoch))[place])


@contextmanager
def scoped_seed(seed: int, stream: str) -> Iterator[None]:
    """Seed torch's global generators for libraries that draw from them, and put them back."""
    with torch.random.fork_rng():
        torch.manual_seed(generator(seed, stream, 0).initial_seed())
        yield

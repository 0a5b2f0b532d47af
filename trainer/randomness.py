"""Reproducible random numbers: each is a function of (seed, stream, index) alone, so that a run can be resumed and
distributed over processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def generator(seed: int, stream: str, index: int) -> torch.Generator:
    """A CPU generator seeded by (seed, stream, index). The same triple gives the same numbers whatever the training's
    device.
    """
    digest = hashlib.blake2b(f"{seed}/{stream}/{index}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def normal(seed: int, stream: str, indices: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Gaussian noise ε ~ N(0, I), float32 [len(indices), *shape]; row i depends on indices[i] alone."""
    rows = [torch.randn(tuple(shape), generator=generator(seed, stream, i)) for i in indices]
    return torch.stack(rows)


def uniform(seed: int, stream: str, indices: Sequence[int]) -> Tensor:
    """Uniform numbers u ~ U[0, 1), float32 [len(indices)]; row i depends on indices[i] alone."""
    return torch.cat([torch.rand(1, generator=generator(seed, stream, i)) for i in indices])


def order(seed: int, stream: str, count: int, index: int) -> int:
    """The item, 0..count−1, at position `index` of an endless sequence in which every epoch is a new permutation."""
    epoch, place = divmod(index, count)
    return int(torch.randperm(count, generator=generator(seed, stream, epoch))[place])


@contextmanager
def scoped_seed(seed: int, stream: str) -> Iterator[None]:
    """A context that seeds torch's global generators, for libraries that use them, and restores their states
    afterwards.
    """
    with torch.random.fork_rng():
        torch.manual_seed(generator(seed, stream, 0).initial_seed())
        yield

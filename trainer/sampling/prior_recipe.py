"""What determines the class images of a set, and how many of each size a set has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from ..subject.buckets import Size


class PriorsError(ValueError):
    """Class priors that do not fit the run; the message says what differs."""


@dataclass(frozen=True, kw_only=True)
class PriorRecipe:
    """Everything that determines the images of a set, except their number. Sizes in pixels."""

    base_fingerprint: str
    class_noun: str
    prompt: str
    sampler: str
    steps: int
    guidance: float
    width: int
    height: int
    seed: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise PriorsError(f"steps is {self.steps}; sampling takes 1 or more.")
        if min(self.width, self.height) < 32 or self.width % 8 or self.height % 8:
            raise PriorsError(f"{self.width}x{self.height} pixels: sizes are multiples of 8 from 32 up.")

    @property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of the recipe."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def shared_out(count: int, sizes: Mapping[Size, int]) -> dict[Size, int]:
    """{size: its number of class images}, in proportion to the photos of each size, rounded by largest remainders; at
    least one of each, even where these are more than `count`.
    """
    photos = sum(sizes.values())
    shares = {size: max(1, count * of_size // photos) for size, of_size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda size: -(count * sizes[size] % photos))
    for size in by_remainder[: max(0, count - sum(shares.values()))]:
        shares[size] += 1
    return shares


def recipes_of(recipe: PriorRecipe, count: int, sizes: Mapping[Size, int]) -> list[tuple[PriorRecipe, int]]:
    """(recipe, number of images) for each of the photos' sizes; no images of each at 0. Raises PriorsError for a count
    below that.
    """
    if count < 0:
        raise PriorsError(f"count is {count}; it must be 0 or more.")
    shares = shared_out(count, sizes) if count else dict.fromkeys(sizes, 0)
    return [(replace(recipe, width=width, height=height), own) for (width, height), own in shares.items()]

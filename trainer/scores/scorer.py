"""The interface of a scorer: figures for pictures [B, 3, H, W] in 0..1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Scorer(Protocol):
    """A model that looks at pictures; its methods return values on the CPU, one for each picture if nothing else is
    said.

    name, meaning: for people. meaning: how prompt following is measured. margin: how far prompt following may fall and
    still count as the base's. fingerprint: of the weights behind it. reads_texts: whether prompt following needs no
    pictures to compare with (see `calibrated`).
    """

    name: str
    meaning: str
    margin: float
    fingerprint: str
    reads_texts: bool

    def likeness(self, pictures: Tensor, photos: Tensor) -> Tensor:
        """Mean cosine to the subject's photos [N, 3, H, W], -1 to 1 (the paper's DINO and CLIP-I)."""

    def prompt_following(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """How far each picture shows its text (the paper's CLIP-T)."""

    def variety(self, pictures: Tensor) -> Tensor:
        """Mean distance of each picture to the others (the paper's DIV)."""

    def pairwise_similarity(self, pictures: Tensor, photos: Tensor) -> Tensor:
        """The similarity [B, N] of each picture to each photo, backgrounds included; of any scale, higher is nearer."""

    def calibrated(self, pictures: Tensor, texts: Sequence[str]) -> Scorer:
        """A copy that measures prompt following against these pictures, the b-th drawn by the base of the b-th text;
        the scorer itself where it reads texts.
        """


class ClassScorer(Scorer, Protocol):
    """A scorer that also tells classes apart."""

    def shows(self, pictures: Tensor, class_noun: str) -> Tensor:
        """1 where a picture is taken for a `class_noun`, else 0."""


def likeness_between_photos(scorer: Scorer, photos: Tensor) -> Tensor:
    """[N]: mean likeness of each photo to the others, the paper's "real images"; 1 for a single photo."""
    if len(photos) < 2:
        return torch.ones(len(photos))
    others = [torch.cat([photos[:i], photos[i + 1 :]]) for i in range(len(photos))]
    return torch.cat([scorer.likeness(photos[i : i + 1], rest) for i, rest in enumerate(others)])


def returns_photo(scorer: Scorer, pictures: Tensor, photos: Tensor) -> Tensor | None:
    """Whether each picture [B] repeats a photo: it is more similar to one than any two photos are to each other. None
    with a single photo, which has no other to compare with.
    """
    if len(photos) < 2:
        return None
    others = scorer.pairwise_similarity(photos, photos).fill_diagonal_(-torch.inf)
    return scorer.pairwise_similarity(pictures, photos).amax(1) > others.max()

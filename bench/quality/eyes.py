"""What looks at pictures and gives figures: toybase's judges, or DINO and CLIP on a real model.

Pictures are [B, 3, H, W] in 0..1 everywhere here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ...toybase.judge import FILES, Judge, load_judge
from ...toybase.palette import NOUNS, PLACES
from ...toybase.quantize import WEIGHTS
from .sources import digest


class Eyes(Protocol):
    """Every answer has one value a picture, on the CPU."""

    name: str
    meaning: str
    """What prompt fidelity is, for people."""
    margin: float
    """How far prompt fidelity may fall and still be the base's."""
    fingerprint: str
    """Of the weights behind them."""

    def likeness(self, pictures: Tensor, photos: Tensor) -> Tensor:
        """Mean cosine to the subject's photos [N, 3, H, W], as the paper's DINO and CLIP-I."""

    def fidelity(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """How far each picture shows its text, as the paper's CLIP-T."""

    def shows(self, pictures: Tensor, class_noun: str) -> Tensor:
        """1 where a picture is taken for a `class_noun`, else 0."""

    def variety(self, pictures: Tensor) -> Tensor:
        """Mean distance of each picture to the others, as the paper's DIV."""


class ToybaseEyes:
    """A judge that was trained on toybase's world: its words are that world's nouns and places."""

    meaning = "the probability that the judge gives to the place asked for"
    margin = 0.05

    def __init__(self, second: bool = False) -> None:
        self.name = "second judge" if second else "judge"
        self._judge: Judge = load_judge(second)
        self.fingerprint = digest([WEIGHTS / FILES["b" if second else "a"]])

    def likeness(self, pictures: Tensor, photos: Tensor) -> Tensor:
        """Mean cosine of embeddings, -1 to 1."""
        return (self._embedded(pictures) @ self._embedded(photos).T).mean(1)

    def fidelity(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """The probability that the judge gives to the place that the text names, 0 to 1."""
        return self._judge.look(pictures * 2 - 1).place.gather(1, torch.tensor([[_place(t)] for t in texts]))[:, 0]

    def shows(self, pictures: Tensor, class_noun: str) -> Tensor:
        """Whether the judge's first noun is `class_noun`."""
        return (self._judge.look(pictures * 2 - 1).noun.argmax(1) == NOUNS.index(class_noun)).float()

    def variety(self, pictures: Tensor) -> Tensor:
        """Mean distance of the judge's feature maps, in the manner of LPIPS."""
        return self._judge.distances(pictures * 2 - 1).sum(1) / max(1, len(pictures) - 1)

    def _embedded(self, pictures: Tensor) -> Tensor:
        return self._judge.look(pictures * 2 - 1).embedding


def between_photos(eyes: Eyes, photos: Tensor) -> Tensor:
    """[N]: mean likeness of each photo to the others, the paper's "real images"; 1 for a single photo."""
    if len(photos) < 2:
        return torch.ones(len(photos))
    others = [torch.cat([photos[:i], photos[i + 1 :]]) for i in range(len(photos))]
    return torch.cat([eyes.likeness(photos[i : i + 1], rest) for i, rest in enumerate(others)])


def _place(text: str) -> int:
    for index, words in enumerate(PLACES.values()):
        if text.endswith(words):
            return index
    raise ValueError(f"the judge knows toybase's places alone, and {text!r} ends with none: give --dino and --clip")

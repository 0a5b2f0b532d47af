"""The concept encoder: photos of a subject → the vectors of its pseudo-word, and features of their patches.

InstantBooth, section 3.1: the word is the mean over the photos; patch features of all photos stand beside each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .shape import PredictorShape

GROUPS, HEADS = 8, 4
"""Of group norms, and of the attention that pools patches into vectors."""
ENCODED_AT_ONCE = 16
"""Photos of a subject."""


@dataclass(frozen=True)
class Concept:
    """What is predicted for B subjects. words: {text encoder: [B, k, width]}. patches: [B, n·P, C], of n photos."""

    words: Mapping[str, Tensor]
    patches: Tensor


class ConceptEncoder(nn.Module):
    """A small convolutional network, and a head that pools its features into the offsets of k word vectors."""

    def __init__(self, shape: PredictorShape) -> None:
        super().__init__()
        self.shape = shape
        first, second, third = shape.widths
        self.features = nn.Sequential(
            nn.Conv2d(3, first // 2, 3, 2, 1),
            _normed(first // 2),
            nn.Conv2d(first // 2, first, 3, 2, 1),
            Residual(first),
            _normed(first),
            nn.Conv2d(first, second, 3, 2, 1),
            Residual(second),
            Residual(second),
            _normed(second),
            nn.Conv2d(second, third, 3, 2, 1),
            Residual(third),
        )
        self.position = nn.Parameter(0.02 * torch.randn(shape.patches, third))
        self.norm = nn.LayerNorm(third)
        self.pool = Pooling(third, shape.vectors)
        self.heads = nn.ModuleDict({name: WordHead(third, width, shape.vectors) for name, width in shape.words.items()})

    def patches(self, photos: Tensor) -> Tensor:
        """Patch features [B, P, C] of photos [B, 3, H, W] in -1..1, which are resized to the encoder's side."""
        side = self.shape.photo
        if photos.shape[-2:] != (side, side):
            photos = F.interpolate(photos, (side, side), mode="bilinear", antialias=True)
        maps: Tensor = self.features(photos.contiguous(memory_format=torch.channels_last))
        features: Tensor = self.norm(maps.flatten(2).transpose(1, 2) + self.position)
        return features

    def forward(self, photos: Tensor, nouns: Mapping[str, Tensor]) -> Concept:
        """The concepts of B subjects from n photos each, [B, n, 3, H, W] in -1..1.

        nouns: {text encoder: the vector of the class noun [B, width]}. The vectors are renormalised: each is as long
        as the noun's.
        """
        count = photos.shape[1]
        features = torch.cat([self.patches(part) for part in photos.flatten(0, 1).split(ENCODED_AT_ONCE)])
        pooled = self.pool(features).unflatten(0, (-1, count)).mean(1)
        words = {name: self.heads[name](pooled, noun) for name, noun in nouns.items()}
        return Concept(words, features.unflatten(0, (-1, count)).flatten(1, 2))


class WordHead(nn.Module):
    """Pooled features [B, k, C] → k word vectors [B, k, width] for one text encoder."""

    def __init__(self, features: int, width: int, vectors: int) -> None:
        super().__init__()
        self.into = nn.Linear(features, 2 * features)
        self.out = nn.Linear(2 * features, width)
        # where the vectors before the noun's start
        self.start = nn.Parameter(torch.randn(vectors - 1, width))
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)

    def forward(self, pooled: Tensor, noun: Tensor) -> Tensor:
        """The vectors, each with the length of the class noun's vector [B, width], the last one near that.

        All numbers are in units of that vector's root mean square, so that one learning rate serves every model.
        """
        offsets = self.out(F.silu(self.into(pooled))).float()
        length, width = noun.float().norm(dim=-1)[:, None, None], noun.shape[-1]
        start = self.start.float().expand(len(noun), -1, -1)
        vectors = torch.cat([start, noun.float()[:, None] / length * width**0.5], 1) + offsets
        return F.normalize(vectors, dim=-1) * length


class Pooling(nn.Module):
    """Attention of k learned queries over patch features [B, P, C], and a residual layer: [B, k, C]."""

    def __init__(self, width: int, vectors: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(vectors, width) / width**0.5)
        self.keys_values = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        """The pooled features."""
        keys, values = _heads(self.keys_values(features), 2 * HEADS).chunk(2, 1)
        queries = _heads(self.queries.to(keys.dtype).expand(len(features), -1, -1), HEADS)
        pooled = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
        normed: Tensor = self.norm(pooled + self.out(pooled))
        return normed


class Residual(nn.Module):
    """x + two 3 x 3 convolutions, each behind a group norm and SiLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))
        nn.init.zeros_(second.weight)
        self.inner = nn.Sequential(_normed(width), first, _normed(width), second)

    def forward(self, x: Tensor) -> Tensor:
        """Maps in the shape of x [B, C, h, w]."""
        changed: Tensor = x + self.inner(x)
        return changed


def _normed(width: int) -> nn.Sequential:
    return nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU())


def _heads(x: Tensor, heads: int) -> Tensor:
    """[B, N, heads·d] → [B, heads, N, d]."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)

"""The adapter layer between a block's self- and cross-attention (InstantBooth, section 3.2; GLIGEN, Li et al. 2023).

    y ← y + β·tanh(γ)·S([y, f]),

with y the block's hidden states, f the patch features of the photos, S a self-attention over both of which the rows of
y are kept, γ learned from 0, and β in 0..1, chosen when sampling.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD = 32
"""Channels of an attention head."""


def inner_width(width: int) -> int:
    """The channels in which a layer of this width attends: four tenths of it, in whole heads."""
    return max(1, round(0.4 * width / HEAD)) * HEAD


class GatedAdapter(nn.Module):
    """tanh(γ)·S([y, f]) for hidden states of one width. γ is a scalar that starts at 0: without effect."""

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        inner = inner_width(width)
        self.norm = nn.LayerNorm(width)
        self.own = nn.Linear(width, 3 * inner, bias=False)
        self.photos = nn.Linear(features, 2 * inner, bias=False)
        self.out = nn.Linear(inner, width)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, y: Tensor, patches: Tensor) -> Tensor:
        """What is added to y [B, N, width] at β = 1. patches: [B, M, features]."""
        queries, own_keys, own_values = self._heads(self.own(self.norm(y)), 3)
        keys, values = self._heads(self.photos(patches.to(y.dtype)), 2)
        keys, values = torch.cat([own_keys, keys], 2), torch.cat([own_values, values], 2)
        attended = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
        return torch.tanh(self.gate) * self.out(attended)

    @staticmethod
    def _heads(x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """[B, N, parts·h·HEAD] → `parts` tensors [B, h, N, HEAD]."""
        return tuple(x.unflatten(2, (parts, -1, HEAD)).permute(2, 0, 3, 1, 4).unbind())

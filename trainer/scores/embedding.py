"""Scores by an encoder of pictures alone, such as DINO or a host's CLIP_VISION, which reads no texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

Embed = Callable[[Tensor], Tensor]
"""A function from pictures [B, 3, H, W] in 0..1 to embeddings [B, D] of unit length, on the CPU."""


@dataclass
class EmbeddingScorer:
    """Scores by cosines of embeddings. fingerprint: of the encoder's weights.

    Prompt following compares with pictures that the base draws of the same texts. With c_k the normalised mean
    embedding of the base's pictures of text k, and e the embedding of a picture of text k, let
    s(e) = e·c_k − mean over the other texts j of e·c_j; prompt following is s(e) / s(c_k): 1 for c_k itself.
    contexts: {text: c_k}, of `calibrated`.
    """

    name: str
    embed: Embed
    fingerprint: str
    contexts: Mapping[str, Tensor] = field(default_factory=dict)
    meaning: str = "likeness to what the base draws at the place asked for, against the other places; 1 as the base's"
    margin: float = 0.1
    reads_texts: bool = False

    def likeness(self, pictures: Tensor, photos: Tensor) -> Tensor:
        """Mean cosine of embeddings to the photos', -1 to 1."""
        return self.pairwise_similarity(pictures, photos).mean(1)

    def pairwise_similarity(self, pictures: Tensor, photos: Tensor) -> Tensor:
        """Cosines of embeddings: `likeness` before its mean."""
        return self.embed(pictures) @ self.embed(photos).T

    def variety(self, pictures: Tensor) -> Tensor:
        """Mean of 1 - cosine to the other pictures."""
        embedded = self.embed(pictures)
        return (1 - embedded @ embedded.T).sum(1) / max(1, len(pictures) - 1)

    def prompt_following(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """See the class. Raises KeyError for a text that `calibrated` was not given."""
        known, means = list(self.contexts), torch.stack(list(self.contexts.values()))
        rows = torch.tensor([known.index(text) for text in texts])
        of_the_base = _contrast(means @ means.T, torch.arange(len(known))).clamp(min=1e-6)
        return _contrast(self.embed(pictures) @ means.T, rows) / of_the_base[rows]

    def calibrated(self, pictures: Tensor, texts: Sequence[str]) -> EmbeddingScorer:
        """A copy that measures prompt following against these pictures, the b-th drawn by the base of the b-th text; of
        two texts or more.
        """
        embedded = self.embed(pictures)
        rows = {text: [i for i, other in enumerate(texts) if other == text] for text in dict.fromkeys(texts)}
        means = {text: F.normalize(embedded[own].mean(0), dim=0) for text, own in rows.items()}
        return replace(self, contexts=means)


def _contrast(cosines: Tensor, rows: Tensor) -> Tensor:
    """For each row [K] its cosine to its own context, minus the mean of its cosines to the others."""
    own = cosines.gather(1, rows.unsqueeze(1))[:, 0]
    return own - (cosines.sum(1) - own) / (cosines.shape[1] - 1)

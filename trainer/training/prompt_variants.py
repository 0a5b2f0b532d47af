"""The prompts that an image is shown under: one, several in turn, or at times the empty one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import randomness


@dataclass(frozen=True)
class PromptVariants:
    """The prompts of N images, as rows of the `EncodedPrompts`.

    rows: of each image, 1 or more, each as likely. dropout: the probability, 0 to 1, of the prompt in the row `empty`
    instead (Ho and Salimans, 2022, section 3.2).
    """

    rows: tuple[tuple[int, ...], ...]
    dropout: float = 0.0
    empty: int = 0

    def drawn(self, seed: int, samples: Sequence[int], images: Sequence[int]) -> tuple[int, ...]:
        """The prompt row of each of these images; a draw depends on the seed and on the sample's index alone."""
        dropped = randomness.uniform(seed, "prompt.dropout", samples).tolist() if self.dropout else [1.0] * len(samples)
        chosen = randomness.uniform(seed, "prompt.variant", samples).tolist()
        rows = [
            self.rows[image][int(share * len(self.rows[image]))] for image, share in zip(images, chosen, strict=True)
        ]
        return tuple(self.empty if u < self.dropout else row for u, row in zip(dropped, rows, strict=True))

    def of(self, images: Sequence[int]) -> PromptVariants:
        """The variants of these images."""
        return PromptVariants(tuple(self.rows[image] for image in images), self.dropout, self.empty)

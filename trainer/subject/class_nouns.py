"""Class nouns that fit photos, ranked by how well a pretrained model denoises the photos under each.

Among nouns n the likeliest is the one under which the denoising error E‖F(z_t, t, "a n") − target‖² is least (Diffusion
Classifier, Li et al., ICCV 2023). Nouns are compared on the same photos, noises and noise levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 10
"""The number of nouns that are suggested."""
SHARPNESS = 1.0


@dataclass(frozen=True)
class SuggestedNoun:
    """A class noun, and its odds among all nouns that were compared: its probability, 0 to 1."""

    noun: str
    odds: float


@lru_cache
def everyday_nouns() -> tuple[str, ...]:
    """Nouns of what people photograph, in alphabetical order: what is compared for models of the real world."""
    return tuple(Path(__file__).with_name("class_nouns.txt").read_text(encoding="utf-8").splitlines())


def noun_prompt(noun: str) -> str:
    """The prompt under which a noun is tried: "a dog", "an apple"."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def ranked_by_error(nouns: Sequence[str], errors: Tensor, levels: Sequence[int]) -> tuple[SuggestedNoun, ...]:
    """The nouns with their odds, the likeliest first.

    errors: [S, P], of P nouns in S samples; the same photo, noise and level in a row. levels: of each sample, any
    number that names its noise level. With d_sn = e_sn − mean over n of e_sn, and σ_t the root mean square of d over
    the samples of level t, a noun's evidence is −Σ_s d_sn / σ_t(s) / √S, and its odds are proportional to
    exp(SHARPNESS · evidence). Dividing by σ_t lets every level count alike. Raises ValueError for errors that are not
    finite.
    """
    import torch

    if not errors.isfinite().all():
        raise ValueError("the denoiser's answers hold NaN or infinity: compute them in fp32, or check the model")
    apart = errors.double() - errors.double().mean(1, keepdim=True)
    which = torch.tensor(levels)
    for level in which.unique():
        rows = which == level
        apart[rows] /= apart[rows].square().mean().sqrt().clamp(min=torch.finfo(torch.float32).tiny)
    odds = (-SHARPNESS * apart.sum(0) / len(apart) ** 0.5).softmax(0)
    order = odds.argsort(descending=True, stable=True).tolist()
    return tuple(SuggestedNoun(nouns[index], float(odds[index])) for index in order)


def noun_table(found: Sequence[SuggestedNoun]) -> str:
    """A text table of suggestions in the order given."""
    width = max(len(one.noun) for one in found)
    return "\n".join(f"{one.noun:<{width}}  {one.odds:4.0%}" for one in found)

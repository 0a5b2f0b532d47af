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

SHOWN = 8
"""The number of nouns that are suggested."""
_TINY = 1e-30


@dataclass(frozen=True)
class SuggestedNoun:
    """A class noun. odds: its probability among the nouns that it is listed with, 0 to 1."""

    noun: str
    odds: float


@lru_cache
def everyday_nouns() -> tuple[str, ...]:
    """Nouns of what people photograph, in alphabetical order: what is compared for models of the real world."""
    return tuple(Path(__file__).with_name("class_nouns.txt").read_text(encoding="utf-8").splitlines())


def noun_prompt(noun: str) -> str:
    """The prompt under which a noun is tried: "a dog", "an apple"."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def ranked_by_error(nouns: Sequence[str], errors: Tensor, others: Tensor | None = None) -> tuple[SuggestedNoun, ...]:
    """The nouns with their odds, the likeliest first.

    errors: e [L, S, P], of P nouns in S samples at each of L noise levels; a sample has the same photo and noise for
    all nouns. others: o [L, M, P], the same of M pictures of other things; None where they are not measured. With d
    and m the deviations of e and o from their means over the nouns, and σ_l the root mean square of d at a level, a
    noun's evidence is −Σ_l (mean_s d − mean_m m) / σ_l: some nouns suit every picture, and their own mean over other
    pictures is what that brings them. The odds are proportional to exp(evidence), with the evidence divided by its
    standard deviation over the nouns: on the embedded base the first noun is then right about as often as its odds say
    (bench/README.md). Raises ValueError for errors that are not finite.
    """
    given = [table.double() for table in (errors, others) if table is not None]
    if not all(table.isfinite().all() for table in given):
        raise ValueError("the denoiser's answers hold NaN or infinity: compute them in fp32, or check the model")
    apart, *own = (table - table.mean(2, keepdim=True) for table in given)
    scale = apart.square().mean((1, 2)).sqrt().clamp(min=_TINY)
    more = apart.mean(1) - own[0].mean(1) if own else apart.mean(1)
    evidence = -(more / scale.unsqueeze(1)).sum(0)
    odds = (evidence / evidence.std(correction=0).clamp(min=_TINY)).softmax(0)
    order = odds.argsort(descending=True, stable=True).tolist()
    return tuple(SuggestedNoun(nouns[index], float(odds[index])) for index in order)


def noun_table(found: Sequence[SuggestedNoun]) -> str:
    """A text table of suggestions in the order given."""
    width = max(len(one.noun) for one in found)
    return "\n".join(f"{one.noun:<{width}}  {one.odds:4.0%}" for one in found)

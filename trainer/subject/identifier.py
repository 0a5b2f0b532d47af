"""The identifier [V]: rare-token lookup (DreamBooth, section 3.2), and a ranking of candidates by their prior.

A common word has a strong prior of its own, and a random string of letters is tokenized into single letters, which the
model can draw. So token ids are sampled from a rare range of the model's own vocabulary, decoded to text, and kept only
if that text tokenizes to exactly those ids.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from .identifier_warnings import warnings_for
from .rare_tokens import ClipVocabulary, Tokenizer, Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "PROBE_TIMES",
    "PROMPTS_AT_ONCE",
    "Candidate",
    "EpsilonPredictor",
    "candidate_table",
    "candidates_of",
    "range_in_words",
    "rank_by_prior",
    "rare_candidates",
    "warnings_for",
]

EpsilonPredictor = Callable[[Sequence[str]], "Tensor"]
"""A function from prompts to the denoiser's ε prediction, [prompts, N, ...], for all prompts at the same N noises and
timesteps.
"""
PROBE_TIMES = (0.15, 0.4, 0.6, 0.85)
"""The noise levels of that batch, as fractions of the schedule: 0 is clean, 1 is pure noise."""
PROMPTS_AT_ONCE = 8
"""The number of prompts that are shown to the denoiser together."""

COUNT = 16
"""The usual number of candidates."""

_REFUSED_DRAWS_IN_A_ROW = 2_000
"""After so many rejected samples in a row, the vocabulary counts as exhausted."""


@dataclass(frozen=True)
class Candidate:
    """One possible identifier.

    ranks: the merge ranks of `token_ids`; 0 is the most common merge. prior: the model's prior for it, see
    `rank_by_prior`; None where it was not measured.
    """

    text: str
    token_ids: tuple[int, ...]
    ranks: tuple[int, ...]
    prior: float | None = None


def rare_candidates(
    tokenizer: Tokenizer, length: int, seed: int, count: int = COUNT, kind: type[Vocabulary] = ClipVocabulary
) -> tuple[Candidate, ...]:
    """`count` identifiers of `length` rare tokens each, sampled from the tokenizer's vocabulary.

    Ids are sampled uniformly without replacement, so no id occurs twice in one call. A sample that does not tokenize
    back to its ids, alone and inside "a [V] dog", or that spells a word is rejected, and its ids may be sampled again.
    The same tokenizer, length, seed and count give the same candidates on every platform.

    Raises ValueError for a length outside 1..3 (the paper's k), a negative seed, a count below 1 or above what the
    vocabulary yields, and a tokenizer of another kind than `kind`.
    """
    _check(length, seed, count)
    found = tuple(islice(_drawn((kind(tokenizer),), length, seed), count))
    if len(found) < count:
        raise ValueError(
            f"count {count}: this vocabulary gives only {len(found)} identifiers of {length} "
            "rare tokens that share no token; ask for fewer"
        )
    return found


def candidates_of(
    vocabularies: Sequence[Vocabulary], length: int, seed: int, most: int = COUNT
) -> tuple[Candidate, ...]:
    """Up to `most` identifiers of `length` rare tokens of the first vocabulary, each made of rare tokens in every other
    one too; fewer where there are no more.

    Raises ValueError for a length or seed out of range, and where there is none at all.
    """
    _check(length, seed, most)
    found = tuple(islice(_drawn(vocabularies, length, seed), most))
    if not found:
        names = " and ".join(dict.fromkeys(vocabulary.name for vocabulary in vocabularies))
        other = "another length" if length == 1 else "a smaller length"
        raise ValueError(
            f"identifier length {length}: no word of so many tokens was found that is rare in {names}; choose {other}"
        )
    return found


def _drawn(vocabularies: Sequence[Vocabulary], length: int, seed: int) -> Iterator[Candidate]:
    """Identifiers in the order in which they are drawn, until there are no more."""
    first, *others = vocabularies
    urns = first.urns(length)
    draw = random.Random(seed)
    refused = 0
    while (ids := _draw_ids(urns, draw)) and refused < _REFUSED_DRAWS_IN_A_ROW:
        text = "".join(map(first.piece, ids))
        if not first.is_word(text) and first.spells(ids) and all(other.is_rare(text) for other in others):
            yield Candidate(text, ids, tuple(map(first.rank, ids)))
            refused = 0
            continue
        refused += 1
        for urn, index in zip(urns, ids, strict=True):
            urn.append(index)


def _check(length: int, seed: int, count: int) -> None:
    """Raises ValueError for a length, seed or count out of range."""
    if length not in (1, 2, 3):
        raise ValueError(f"identifier length {length}: choose 1, 2 or 3 tokens")
    if seed < 0:
        raise ValueError(f"identifier seed {seed}: choose 0 or more")
    if count < 1:
        raise ValueError(f"candidate count {count}: choose 1 or more")


def _draw_ids(urns: Sequence[list[int]], draw: random.Random) -> tuple[int, ...]:
    """One id sampled and removed from each list; (), with nothing removed, where a list has fewer ids than there are
    lists, since one list may stand for several tokens.

    Only `Random.random` is used: Python guarantees the same sequence in every version for no other method.
    """
    if min(map(len, urns)) < len(urns):
        return ()
    return tuple(urn.pop(int(draw.random() * len(urn))) for urn in urns)


def rank_by_prior(candidates: Sequence[Candidate], class_noun: str, answer: EpsilonPredictor) -> tuple[Candidate, ...]:
    """The candidates sorted by the prior that each has in this model, the weakest prior first.

    The prior of X is the L2 norm ‖ε("a X dog") − ε("a dog")‖, averaged over the batch's noises and timesteps: an
    identifier that already means something changes the prediction. Priors compare candidates of one call only: they
    grow with the size of the predictions. Raises ValueError if `answer` returns another number of predictions than
    prompts, or a value that is not finite.
    """
    prompts = [f"a {class_noun}", *(f"a {candidate.text} {class_noun}" for candidate in candidates)]
    answers = answer(prompts)
    if len(answers) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts got {len(answers)} answers of the denoiser")
    differences = (answers[1:].float() - answers[:1].float()).flatten(2)
    priors = differences.norm(dim=2).mean(dim=1)
    if not priors.isfinite().all():
        raise ValueError("the denoiser's answers hold NaN or infinity: compute them in fp32, or check the model")
    ranked = (replace(c, prior=p) for c, p in zip(candidates, priors.tolist(), strict=True))
    return tuple(sorted(ranked, key=lambda candidate: candidate.prior or 0.0))


def range_in_words(vocabularies: Sequence[Vocabulary]) -> str:
    """What identifiers are drawn from, and where else they are rare."""
    first, *others = vocabularies
    names = [f"rare in {other.name} too" for other in others]
    return ", ".join([first.drawn_from, *names])


def candidate_table(
    candidates: Sequence[Candidate],
    chosen: Candidate | None = None,
    class_noun: str = "[class]",
    drawn_from: str = ClipVocabulary.drawn_from,
) -> str:
    """A text table of the candidates in the order given, with their ids, ranks and priors, and a mark at the chosen
    one.

    chosen: None means the first candidate. drawn_from: the range, in words. Raises ValueError without candidates.
    """
    if not candidates:
        raise ValueError("no candidate to report: draw one or more")
    chosen = chosen or candidates[0]
    width = max(len(candidate.text) for candidate in candidates)
    lines = [
        f"identifier: {chosen.text}   (in prompts: a {chosen.text} {class_noun})",
        f"drawn from {drawn_from}; each tokenizes back to its ids",
        f"prior: |answer to 'a X {class_noun}' - answer to 'a {class_noun}'|, lower is rarer"
        if chosen.prior is not None
        else "prior: not measured (needs the model); the first one drawn is chosen",
    ]
    for candidate in candidates:
        mark = ">" if candidate.text == chosen.text else " "
        prior = "-" if candidate.prior is None else f"{candidate.prior:.4g}"
        ids, ranks = (" ".join(map(str, row)) for row in (candidate.token_ids, candidate.ranks))
        lines.append(f"{mark} {candidate.text:<{width}}  ids {ids}  ranks {ranks}  prior {prior}")
    return "\n".join(lines)

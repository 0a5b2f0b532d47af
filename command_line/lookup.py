"""The rare-token lookup, with a bar where the candidates are measured in a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..trainer.model.families import clip_tokenizer
from ..trainer.sampling.identifier_probe import denoiser_answer
from ..trainer.subject.identifier import PROMPTS_AT_ONCE, Candidate, rank_by_prior, rare_candidates
from .base_model import BaseModel
from .flags import COUNT
from .progress import Bar, terminal_bar


def candidates(base: BaseModel | None, length: int = 1, seed: int = 0, count: int = COUNT) -> tuple[Candidate, ...]:
    """Rare tokens of the base's vocabulary, or of CLIP's, in the order in which they were drawn. Raises ValueError."""
    if base is None:
        return rare_candidates(clip_tokenizer(), length, seed, count)
    if base.family.vocabulary is None:
        raise ValueError(f"rare tokens of a {base.family.family} are not known: say --identifier")
    return rare_candidates(base.live.tokenizer, length, seed, count, base.family.vocabulary)


def ranked(found: Sequence[Candidate], base: BaseModel, noun: str, bar: Bar = terminal_bar) -> tuple[Candidate, ...]:
    """The same by the prior that they carry in this very model, the weakest first."""
    answer = denoiser_answer(base.live)

    def answer_shown(prompts: Sequence[str]) -> Tensor:
        rows = []
        with bar(len(prompts), "identifiers") as done:
            for start in range(0, len(prompts), PROMPTS_AT_ONCE):
                rows.append(answer(prompts[start : start + PROMPTS_AT_ONCE]))
                done(len(rows[-1]))
        return torch.cat(rows)

    return rank_by_prior(found, noun, answer_shown)
